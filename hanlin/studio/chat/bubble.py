"""A message on the page: its text as it comes, what can be done with it, why its words came."""

import html
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from hanlin.studio import markdown
from hanlin.studio.chat import tokens
from hanlin.studio.chat.tree import Conversation, Message
from hanlin.studio.parts import action, box, button, words
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import chat, common

DRAW_SECONDS = 0.07
"""Between two drawings of an answer that is being made."""


@dataclass(frozen=True)
class Deeds:
    """What a message's buttons do."""

    edit: Callable[[Message, str], Any]
    retry: Callable[[Message], Any]
    show: Callable[[Message], Any]


class Bubble:
    """One message, drawn into the current slot."""

    def __init__(self, visitor: Visitor, talk: Conversation, message: Message, deeds: Deeds, is_live: bool) -> None:
        self.visitor, self.talk, self.message, self.deeds, self.is_live = visitor, talk, message, deeds, is_live
        self._drawn = 0.0
        self.has_why = False
        tag = "article"
        with ui.element(tag).classes(f"message {message.role}") as self.outer:
            self.outer.props["aria-label"] = message.model or visitor.say(chat.YOU)
            if message.role == "assistant":
                with box("who"):
                    box("dot")
                    words("span", message.model)
            self.body = ui.html("", sanitize=False).classes("body")
            self.why = ui.html("", sanitize=False).classes("why")
            self.why.set_visibility(False)
            self.foot = box("foot-line")
        self.draw()

    def draw(self) -> None:
        """All of it, as it stands."""
        message = self.message
        if message.role == "user":
            self.body.content = f'<div class="said">{_plain(message.content)}</div>'
        else:
            wait = '<span class="caret" aria-hidden="true"></span>' if self.is_live else ""
            text = markdown.rendered(message.content, self.visitor.say(common.COPY))
            self.body.content = f"{text}{wait}"
        if self.is_live:
            self.body.props["aria-busy"] = "true"
        else:
            self.body.props.pop("aria-busy", None)
        self.body.update()
        self.foot.clear()
        if not self.is_live:
            with self.foot:
                self._foot()

    def grow(self, status: str = "") -> None:
        """The text has grown, or `status` is to be said while there is none; drawn a dozen times a second at most."""
        now = time.monotonic()
        if now - self._drawn < DRAW_SECONDS:
            return
        self._drawn = now
        if status and not self.message.content:
            self.body.content = f'<span class="status">{_plain(status)}</span>'
            return
        self.draw()

    def _foot(self) -> None:
        say, message = self.visitor.say, self.message
        branches = self.talk.branches(message)
        if len(branches) > 1:
            self._switch(branches)
        with box("deeds"):
            copy = button("content_copy", say(common.COPY), classes="small")
            copy.on(
                "click",
                js_handler=f"(event) => hanlin.copy(event, {_quoted(message.content)}, {_quoted(say(common.COPIED))})",
            )
            if message.role == "user":
                button("edit", say(chat.EDIT), self._edit, "small")
            else:
                button("refresh", say(chat.RETRY), lambda: self.deeds.retry(message), "small retry")
                if message.tokens:
                    button("insights", say(chat.WHY), self._explain, "small why-button")
            beside = self.talk.beside(message)
            if len(beside) > 1:
                is_on_path = message in self.talk.path()
                label = say(chat.CHOSEN if is_on_path else chat.CHOOSE)
                made = action(label, lambda: self.deeds.show(message), "check" if is_on_path else None, "choose")
                made.set_enabled(not is_on_path)
        if message.role == "assistant":
            self._stats()

    def _switch(self, branches: list[list[Message]]) -> None:
        say = self.visitor.say
        at = next(place for place, branch in enumerate(branches) if self.message in branch)
        with box("branches"):
            back = button("chevron_left", say(chat.EARLIER), lambda: self.deeds.show(branches[at - 1][0]), "small")
            back.set_enabled(at > 0)
            told = words("span", f"{at + 1}/{len(branches)}")
            told.props["aria-label"] = say(chat.BRANCH, at=at + 1, count=len(branches))
            on = button("chevron_right", say(chat.LATER), lambda: self.deeds.show(branches[at + 1][0]), "small")
            on.set_enabled(at + 1 < len(branches))

    def _stats(self) -> None:
        say, stats = self.visitor.say, self.message.stats
        parts = []
        if stats.get("tokens"):
            speed, first = stats.get("speed"), stats.get("first")
            told = f"{speed:.1f}" if speed else "–"
            parts.append(say(chat.STATS, tokens=f"{stats['tokens']:,}", speed=told, first=f"{first or 0:.2f}"))
        for name, word in (("length", chat.CUT), ("stopped", chat.STOPPED), ("failed", chat.FAILED)):
            if stats.get("finish") == name:
                parts.append(say(word))
        if parts:
            words("span", " · ".join(parts), "stats")

    def _explain(self) -> None:
        self.has_why = not self.has_why
        if self.has_why:
            say = self.visitor.say
            self.why.content = (
                tokens.view(self.message.tokens, say(chat.WHY), self.message.id)
                + f'<p class="help">{_plain(say(chat.WHY_HINT))}</p>'
            )
        self.why.set_visibility(self.has_why)
        self.body.set_visibility(not self.has_why)

    def _edit(self) -> None:
        say = self.visitor.say
        self.body.set_visibility(False)
        self.foot.clear()
        with self.foot, box("editing"):
            made = ui.textarea(value=self.message.content).props("outlined autogrow autofocus dense")
            made.props["aria-label"] = say(chat.EDIT)
            with box("deeds"):
                action(
                    say(chat.SAVE_AND_SEND),
                    lambda: self.deeds.edit(self.message, made.value or ""),
                    classes="primary send-edit",
                )
                action(say(common.CANCEL), self._leave)

    def _leave(self) -> None:
        self.body.set_visibility(True)
        self.draw()


def _plain(text: str) -> str:
    return html.escape(text)


def _quoted(text: str) -> str:
    return json.dumps(text)
