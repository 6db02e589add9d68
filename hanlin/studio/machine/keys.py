"""The server's keys: listed, added (the secret is shown once), removed."""

from typing import Any

from nicegui import ui

from hanlin.serve.keys import SCOPES
from hanlin.studio.models.dialogs import window
from hanlin.studio.parts import action, box, button, labelled, telling, words
from hanlin.studio.units import moment
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import common, machine


class KeyList:
    """In the current slot."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor, self.keys, say = visitor, visitor.server.keys, visitor.say
        with box("card", "section"):
            words("h2", say(machine.KEYS))
            if not visitor.may("admin"):
                words("p", say(machine.NOT_YOURS), "help")
                return
            self.list = box("wide")
            with box("line-up"):
                self.name = ui.input(say(machine.NAME)).props("outlined dense")
                self.scopes = ui.select(list(SCOPES), value=["infer"], multiple=True, label=say(machine.SCOPES))
                self.scopes.props("outlined dense use-chips options-dense").classes("grow")
                labelled(self.scopes, say(machine.SCOPES))
                self.requests = ui.number(say(machine.REQUESTS_LIMIT), min=1).props("outlined dense")
                self.tokens = ui.number(say(machine.TOKENS_LIMIT), min=1).props("outlined dense")
                action(say(machine.ADD), self._add, "key", "primary")
        self.fill()

    def fill(self) -> None:
        """As the file has them."""
        say = self.visitor.say
        if not self.keys.all:
            self.scopes.value = ["admin", "studio", "infer"]
        self.list.clear()
        with self.list:
            if not self.keys.all:
                words("p", say(machine.NO_KEYS), "help")
                words("p", say(machine.LAST), "notice")
                return
            with ui.element("table").classes("plain"):
                with ui.element("thead"), ui.element("tr"):
                    for word in (machine.NAME, machine.SCOPES, machine.LIMITS, machine.MADE_AT):
                        words("th", say(word)).props["scope"] = "col"
                    ui.element("td")
                with ui.element("tbody"):
                    for key in self.keys.all:
                        self._row(key)

    def _row(self, key: Any) -> None:
        limits = [f"{key.requests_per_minute:,} ×"] if key.requests_per_minute else []
        limits += [f"{key.tokens_per_minute:,} {self.visitor.say(common.TOKENS)}"] if key.tokens_per_minute else []
        with ui.element("tr"):
            for text in (key.name, ", ".join(key.scopes), ", ".join(limits) or "–", moment(key.created)):
                words("td", text)
            with ui.element("td"):
                label = f"{self.visitor.say(common.REMOVE)}: {key.name}"
                button("delete_outline", label, lambda: self._sure(key.name), "small")

    def _add(self) -> None:
        with telling(self.visitor):
            self.visitor.must("admin")
            limits = {"requests_per_minute": self.requests.value, "tokens_per_minute": self.tokens.value}
            given = {name: int(value) for name, value in limits.items() if value}
            secret = self.keys.add((self.name.value or "").strip(), scopes=tuple(self.scopes.value or ()), **given)
            card = window(self.visitor, self.name.value or "")
            with card.inner:
                words("p", self.visitor.say(machine.SECRET), "notice")
                words("pre", secret, "out secret")
                made = action(self.visitor.say(common.COPY), picture="content_copy", classes="primary")
                told = self.visitor.say(common.COPIED)
                made.on("click", js_handler=f"(event) => hanlin.copy(event, '{secret}', '{told}')")
            self.name.value = ""
            self.fill()

    def _sure(self, name: str) -> None:
        with self.visitor.client:
            card = window(self.visitor, self.visitor.say(machine.SURE, name=name))
        with card.inner, box("line-up"):
            action(self.visitor.say(common.REMOVE), lambda: self._remove(name, card.dialog), classes="danger")
            action(self.visitor.say(common.CANCEL), card.dialog.close)

    def _remove(self, name: str, dialog: ui.dialog) -> None:
        with telling(self.visitor):
            self.visitor.must("admin")
            self.keys.remove(name)
            dialog.close()
            self.fill()
