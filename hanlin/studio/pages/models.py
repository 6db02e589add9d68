"""Models: what is here, in memory or not; pull, load, unload, look into, quantise."""

import asyncio
from typing import Any

from nicegui import ui

from hanlin.model.store import Stored, pull, remove, stored
from hanlin.studio.models import dialogs
from hanlin.studio.models.anatomy import facts_list
from hanlin.studio.parts import action, box, busy, button, heading, labelled, words
from hanlin.studio.stepping import stepping
from hanlin.studio.units import size
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import common, models
from hanlin.studio.work import Work

PATH, TITLE, ICON, ORDER = "/models", models.TITLE, "inventory_2", 2
LOOK_SECONDS = 3.0


async def show(visitor: Visitor) -> None:
    """The page."""
    page = _Page(visitor)
    await page.fill()
    ui.timer(LOOK_SECONDS, page.look)


class _Page:
    def __init__(self, visitor: Visitor) -> None:
        self.visitor, self.say, self.pool = visitor, visitor.say, visitor.server.pool
        self._seen: Any = None
        with box("page").props('tabindex="0"'), box("inner"):
            heading(self.say(models.TITLE), self.say(models.LINE))
            self.memory = box("card", "section")
            self._pulling()
            words("h2", self.say(models.HERE))
            self.cards = box("cards")

    def _pulling(self) -> None:
        with box("card", "section"):
            words("h2", self.say(models.PULL))
            with box("line-up"):
                self.name = ui.input(self.say(models.PULL_NAME)).props("outlined dense").classes("grow")
                self.alias = ui.input(self.say(models.ALIAS)).props("outlined dense")
                self.go = action(self.say(models.PULL_GO), self._pull, "download", "primary")
                self.halt = action(self.say(common.STOP), lambda: self.work.stop(), "stop")
            self.bar = ui.linear_progress(0, show_value=False).props("rounded size=8px")
            labelled(self.bar, self.say(models.PULL))
            self.told = words("p", "", "help")
            self.told.props["role"] = "status"
        self.work = Work(self.visitor, self._working)
        self._working(False)

    def _working(self, is_on: bool) -> None:
        self.bar.set_visibility(is_on)
        self.halt.set_visibility(is_on)
        self.go.set_visibility(not is_on)

    def _pull(self) -> None:
        self.work.start(self._pulled((self.name.value or "").strip(), (self.alias.value or "").strip() or None))

    async def _pulled(self, name: str, alias: str | None) -> None:
        self.visitor.must("models")
        async for progress in stepping(pull(name, alias=alias)):
            if progress.total_bytes:
                self.bar.value = progress.done_bytes / progress.total_bytes
                self.told.text = f"{progress.file} {size(progress.done_bytes)} / {size(progress.total_bytes)}"
            if progress.note:
                self.told.text = progress.note
        await self.fill()

    async def look(self) -> None:
        """Draw again if something has changed."""
        if self._state() != self._seen:
            await self.fill()

    def _state(self) -> Any:
        return [(name, one.users, one.bytes) for name, one in self.pool.loaded.items()]

    async def fill(self) -> None:
        """As it stands now."""
        here = await asyncio.to_thread(stored)
        self._seen = self._state()
        self.memory.clear()
        with self.memory:
            self._gauge()
        self.cards.clear()
        outside = [name for name, where in self.pool.named.items() if all(where != one.name for one in here)]
        with self.cards:
            for name in outside:
                self._card(name, self.pool.named[name], None)
            for one in here:
                known = next((name for name, where in self.pool.named.items() if where == one.name), one.name)
                self._card(known, one.name, one)

    def _gauge(self) -> None:
        used, budget = self.pool.bytes, self.pool.budget_bytes
        words("h2", self.say(models.MEMORY))
        with box("gauge") as gauge:
            gauge.props["role"] = "img"
            gauge.props["aria-label"] = self.say(models.BUDGET, used=size(used), budget=size(budget))
            for one in self.pool.loaded.values():
                box("").style(f"width: {one.bytes / budget:.2%}").props["title"] = one.name
        words("p", self.say(models.BUDGET, used=size(used), budget=size(budget)), "help")

    def _card(self, name: str, where: str, kept: Stored | None) -> None:
        served = self.pool.loaded.get(name)
        with box("card", "article") as card:
            card.props["aria-label"] = name
            with box("line-up"):
                words("h3", name, "name grow")
                problem = kept.problem if kept else ""
                word = models.DAMAGED if problem else models.IN_MEMORY if served else models.ON_DISK
                words("span", self.say(word), f"badge {'bad' if problem else 'on' if served else ''}")
                if name == self.pool.default:
                    words("span", self.say(models.DEFAULT), "badge")
            facts_list(self._facts(where, kept, served))
            if problem:
                words("p", problem, "help")
            with box("line-up"):
                if served:
                    action(self.say(models.CHAT), lambda: ui.navigate.to("/"), classes="tiny primary")
                    action(self.say(models.UNLOAD), lambda: self._unload(name), classes="tiny")
                else:
                    load = action(self.say(models.LOAD), classes="tiny primary")
                    load.on_click(lambda: self._load(name, where, load))
                action(self.say(models.SHOW), lambda: dialogs.show(self.visitor, name, where), classes="tiny")
                action(self.say(models.QUANTISE), lambda: self._quantise(name, where), classes="tiny")
                box("spring")
                if kept and not served:
                    button("delete_outline", f"{self.say(common.REMOVE)}: {name}", lambda: self._sure(kept), "small")

    def _facts(self, where: str, kept: Stored | None, served: Any) -> dict[str, str]:
        rows = {}
        if kept and kept.manifest:
            manifest = kept.manifest
            rows = {self.say(models.SIZE): size(manifest.total_bytes), self.say(models.FAMILY): manifest.family or "–"}
            rows |= {self.say(models.SOURCE): manifest.origin, self.say(models.LICENCE): manifest.licence or "–"}
        elif not kept:
            rows = {self.say(models.SOURCE): where}
        if served:
            rows[self.say(models.TAKES)] = size(served.bytes)
            rows[self.say(models.CONTEXT)] = f"{served.context:,}"
            rows[self.say(models.REQUESTS)] = f"{served.users}"
        return rows

    async def _load(self, name: str, where: str, made: ui.button) -> None:
        async with busy(self.visitor, made):
            self.visitor.must("models")
            self.pool.named.setdefault(name, where)
            async with self.pool.lease(name) as served:
                told = self.say(models.LOADED, model=name, seconds=f"{served.load_seconds:.1f}")
            with self.visitor.client:
                ui.notify(told, type="positive", position="top")
        await self.fill()

    async def _unload(self, name: str) -> None:
        async with busy(self.visitor, self.memory):
            self.visitor.must("models")
            self.pool.unload(name)
            with self.visitor.client:
                ui.notify(self.say(models.UNLOADED, model=name), position="top")
        await self.fill()

    def _quantise(self, name: str, where: str) -> None:
        with self.visitor.client:
            dialogs.Quantising(self.visitor, name, where, self.fill)

    def _sure(self, kept: Stored) -> None:
        with self.visitor.client:
            card = dialogs.window(self.visitor, self.say(models.SURE, model=kept.name))
        with card.inner, box("line-up"):
            made = action(self.say(common.REMOVE), classes="danger")
            made.on_click(lambda: self._remove(kept, made, card.dialog))
            action(self.say(common.CANCEL), card.dialog.close)

    async def _remove(self, kept: Stored, made: ui.button, dialog: ui.dialog) -> None:
        async with busy(self.visitor, made):
            self.visitor.must("models")
            freed = await asyncio.to_thread(remove, kept.name)
            dialog.close()
            with self.visitor.client:
                ui.notify(self.say(models.REMOVED, model=kept.name, size=size(freed)), position="top")
        await self.fill()
