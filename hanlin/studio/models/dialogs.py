"""The models page's windows: a model's anatomy; quantising it, with its quality card."""

import asyncio
from collections.abc import Callable
from typing import Any

from nicegui import ui

from hanlin.eval.quality import Quality
from hanlin.model.store import find
from hanlin.studio.models import anatomy, quantising
from hanlin.studio.models.quantising import Doing, Made
from hanlin.studio.parts import action, box, button, labelled, telling, words
from hanlin.studio.stepping import stepping
from hanlin.studio.units import size
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import common, models
from hanlin.studio.work import Work


def window(visitor: Visitor, title: str) -> Any:
    """A dialog with a heading and a way out; enter it to fill it."""
    dialog = ui.dialog()
    dialog.props["aria-label"] = title
    with dialog, ui.card().classes("window") as card:
        with box("line-up"):
            words("h2", title, "grow")
            button("close", visitor.say(common.CLOSE), dialog.close)
        inner = box("")
    card.dialog, card.inner = dialog, inner  # pyright: ignore[reportAttributeAccessIssue]
    dialog.open()
    return card


async def show(visitor: Visitor, name: str, where: str) -> None:
    """A model's anatomy."""
    with telling(visitor):
        path = await asyncio.to_thread(find, where)
        assert path is not None, where
        facts = await asyncio.to_thread(visitor.tools.anatomy, name, path)
        with visitor.client, window(visitor, name).inner:
            anatomy.draw(visitor, facts)


class Quantising:
    """The window that quantises one model."""

    def __init__(self, visitor: Visitor, name: str, where: str, made: Callable[[], Any]) -> None:
        self.visitor, self.where, self.made = visitor, where, made
        say = visitor.say
        card = window(visitor, f"{say(models.QUANTISE)} · {name}")
        self.work = Work(visitor, self._working)
        card.dialog.on("hide", self.work.stop)
        with card.inner:
            words("p", say(models.QUANTISE_LINE), "help")
            words("div", say(models.BITS), "label")
            self.bits = ui.toggle({8: "8", 4: "4"}, value=4).props("no-caps unelevated dense spread")
            self.bits.props["toggle-text-color"] = self.bits.props["text-color"] = ""
            self.bits.props["toggle-color"] = self.bits.props["color"] = ""
            self.is_mended = ui.checkbox(say(models.CALIBRATE))
            self.text = ui.textarea(say(models.TEXT)).props("outlined dense rows=3")
            labelled(self.text, say(models.TEXT))
            self.text.bind_visibility_from(self.is_mended, "value")
            with box("line-up"):
                self.go = action(say(models.QUANTISE_GO), self._make, classes="primary")
                self.measure = action(say(models.MEASURE), self._measure)
                self.halt = action(say(common.STOP), self.work.stop, "stop")
                self.halt.set_visibility(False)
            self.status = words("p", "", "status")
            self.status.props["role"] = "status"
            self.table = box("wide")

    def _working(self, is_on: bool) -> None:
        self.halt.set_visibility(is_on)
        self.go.set_visibility(not is_on)
        self.measure.set_visibility(not is_on)
        if not is_on:
            self.status.text = ""

    def _measure(self) -> None:
        self.work.start(self._run(quantising.card(self.where, self.text.value or "")))

    def _make(self) -> None:
        text = (self.text.value or "") if self.is_mended.value and self.bits.value == 4 else None
        self.work.start(self._run(quantising.made(self.where, int(self.bits.value or 4), text)))

    async def _run(self, work: Any) -> None:
        say = self.visitor.say
        rows: list[Quality] = []
        async for piece in stepping(work):
            if isinstance(piece, Doing):
                self.status.text = f"{say(models.STEPS[piece.name], preset=piece.preset)}…"
            elif isinstance(piece, Made):
                ui.notify(say(models.MADE, model=piece.name, size=size(piece.bytes)), type="positive", position="top")
                await self.made()
            else:
                rows.append(piece)
                self._draw(rows)

    def _draw(self, rows: list[Quality]) -> None:
        say = self.visitor.say
        self.table.clear()
        with self.table:
            words("h3", say(models.CARD))
            cells = [
                (
                    row.preset,
                    f"{row.kl:.5f}",
                    f"{row.flips:.2%}",
                    f"{row.perplexity:.3f}",
                    f"{row.perplexity_change:+.2%}",
                    size(row.bytes),
                    f"{row.tokens_per_second:.1f}",
                    "–" if row.is_right is None else f"{'✓' if row.is_right else '✗'} {row.answer[:40]}",
                )
                for row in rows
            ]
            table([say(word) for word in models.COLUMNS], cells)
            words("p", say(models.CARD_HELP), "help")


def table(columns: list[str], rows: list[tuple[str, ...]], figures: slice = slice(1, 7)) -> None:
    """A plain table; columns of figures stand to the right."""
    is_figure = [place in range(*figures.indices(len(columns))) for place in range(len(columns))]
    with ui.element("table").classes("plain"):
        with ui.element("thead"), ui.element("tr"):
            for column, right in zip(columns, is_figure, strict=True):
                made = words("th" if column else "td", column, "n" if right else "")
                if column:
                    made.props["scope"] = "col"
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr"):
                    for cell, right in zip(row, is_figure, strict=True):
                        words("td", cell, "n" if right else "")
