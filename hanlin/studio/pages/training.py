"""Training: a run file by form or TOML, its plan, what the model sees; live runs, stopped, resumed, compared."""

import asyncio
import html
from pathlib import Path
from typing import Any

from nicegui import ui

from hanlin.core.errors import ConfigError, HanlinError
from hanlin.core.run import replacing
from hanlin.studio.models.dialogs import window
from hanlin.studio.parts import action, box, busy, heading, telling, words
from hanlin.studio.training import desk, view
from hanlin.studio.training.form import Form
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import common, training
from hanlin.train.prepare import folder_of
from hanlin.train.report.compare import compare
from hanlin.train.report.curves import picture
from hanlin.train.report.read import Reading, read

PATH, TITLE, ICON, ORDER = "/training", training.TITLE, "school", 4
LOOK_SECONDS = 2.0
OUT = Path("out")
ROWS = 8


async def show(visitor: Visitor) -> None:
    """The page."""
    page = _Page(visitor)
    await page.fill()
    ui.timer(LOOK_SECONDS, page.look)


class _Page:
    def __init__(self, visitor: Visitor) -> None:
        self.visitor, self.say = visitor, visitor.say
        self.open: Path | None = None
        self.ticked: set[Path] = set()
        self._seen: Any = None
        with box("page").props('tabindex="0"'), box("inner"):
            heading(self.say(training.TITLE), self.say(training.LINE))
            with box("split"):
                with box("card", "section"):
                    action(self.say(training.NEW), self._new, "add", "primary")
                    words("h2", self.say(training.RUNS))
                    self.list = box("runs")
                    self.compare = action(self.say(training.COMPARE), self._compare, "compare_arrows")
                    words("p", self.say(training.COMPARE_HINT), "help")
                with box("card", "section"):
                    self.making = box("flow")
                    self.running = box("flow")
        with self.making:
            self._maker()
        self.running.set_visibility(False)

    def _maker(self) -> None:
        words("h2", self.say(training.NEW))
        self.form = Form(self.visitor)
        with box("line-up"):
            start = action(self.say(training.START), classes="primary", picture="play_arrow")
            start.on_click(lambda: self._start(start))
            plan = action(self.say(training.PLAN), picture="event_note")
            plan.on_click(lambda: self._plan(plan))
            rows = action(self.say(training.SEE), picture="visibility")
            rows.on_click(lambda: self._rows(rows))
        self.told = box("")

    async def _settings(self) -> Any:
        """The run file as it stands.

        Raises:
            ConfigError: it is wrong.
        """
        self.visitor.must("admin")
        await self.form.check()
        if self.form.settings is None:
            raise ConfigError(self.form.verdict.text or "", "")
        return self.form.settings

    async def _written(self, settings: Any) -> tuple[Path, Path]:
        """The run file beside its folder, and the folder."""
        folder = folder_of(settings)

        def write() -> Path:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / "studio.toml"
            with replacing(path) as sink:
                sink.write(self.form.text.encode())
            return path

        return await asyncio.to_thread(write), folder

    async def _start(self, made: ui.button) -> None:
        async with busy(self.visitor, made):
            settings = await self._settings()
            path, folder = await self._written(settings)
            await asyncio.to_thread(desk.start, self.visitor.tools.verb, path, folder)
            with self.visitor.client:
                ui.notify(self.say(training.STARTED, name=settings.name), type="positive", position="top")
            await self._show(folder)

    async def _plan(self, made: ui.button) -> None:
        async with busy(self.visitor, made):
            path, _ = await self._written(await self._settings())
            self.told.clear()
            with self.told:
                words("p", self.say(training.PLANNING), "status")
            try:
                plan = await desk.planned(self.visitor.tools.verb, path)
            finally:
                self.told.clear()
            with self.told:
                words("h3", self.say(training.PLAN))
                view.plan_table(self.visitor, plan, {})
                words("p", self.say(training.FITS if plan.get("fits", True) else training.FITS_NOT), "help")
                for line in plan.get("advice") or ():
                    words("p", str(line), "notice")

    async def _rows(self, made: ui.button) -> None:
        async with busy(self.visitor, made):
            settings = await self._settings()
            page = await asyncio.to_thread(self.visitor.tools.rows, settings, ROWS)
            with self.visitor.client, window(self.visitor, self.say(training.SEE)).inner:
                title = html.escape(self.say(training.SEE))
                frame = f'<iframe class="rows-frame" sandbox title="{title}" srcdoc="{html.escape(page)}"></iframe>'
                ui.html(frame, sanitize=False)

    def _new(self) -> None:
        self.open = None
        self.making.set_visibility(True)
        self.running.set_visibility(False)

    async def _show(self, folder: Path) -> None:
        self.open, self._seen = folder, None
        self.making.set_visibility(False)
        self.running.set_visibility(True)
        await self.fill()

    async def look(self) -> None:
        """Draw again what has changed."""
        await self.fill()

    async def fill(self) -> None:
        """The list, and the run that is open."""
        with telling(self.visitor):
            found = await asyncio.to_thread(_readings)
            state = [(folder, reading.changed, _status(folder, reading)) for folder, reading in found]
            is_alive = self.open is not None and desk.running(self.open) is not None
            now = (state, self.open, is_alive)
            if now == self._seen:
                return
            self._seen = now
            self.list.clear()
            with self.list:
                for folder, reading in found:
                    self._entry(folder, reading)
                if not found:
                    words("p", self.say(training.NO_RUNS, folder=OUT), "help")
            if self.open is not None:
                await self._draw(self.open, dict(found).get(self.open))

    def _entry(self, folder: Path, reading: Reading) -> None:
        with box(f"run {'open' if folder == self.open else ''}"):
            tick = ui.checkbox(
                value=folder in self.ticked, on_change=lambda event: self._tick(folder, bool(event.value))
            )
            tick.props["aria-label"] = f"{self.say(training.COMPARE)}: {reading.name}"
            made = ui.button(on_click=lambda: self._show(folder), color=None).props("flat no-caps align=left dense")
            with made:
                words("span", reading.name)
                word = training.STATUS[_status(folder, reading)]
                words("span", self.say(word), f"badge {'on' if _status(folder, reading) == 'running' else ''}")

    def _tick(self, folder: Path, is_on: bool) -> None:
        (self.ticked.add if is_on else self.ticked.discard)(folder)

    async def _draw(self, folder: Path, reading: Reading | None) -> None:
        is_alive = desk.running(folder) is not None
        svg = await asyncio.to_thread(view.pictures, reading) if reading else ""
        self.running.clear()
        with self.running:
            with box("line-up"):
                words("h2", reading.name if reading else folder.name, "grow")
                if is_alive:
                    action(self.say(common.STOP), lambda: self._stop(folder), "stop")
                elif reading is None or reading.status != "finished":
                    action(self.say(training.RESUME), lambda: self._resume(folder), "play_arrow", "primary")
            if reading is None:
                words("p", self.say(training.STATUS["empty"]), "status")
                words("pre", desk.last_words(folder), "out")
            else:
                view.draw(self.visitor, reading, svg, folder)

    async def _stop(self, folder: Path) -> None:
        with telling(self.visitor):
            self.visitor.must("admin")
            await asyncio.to_thread(desk.stop, folder)
            with self.visitor.client:
                ui.notify(self.say(training.STOPPING, name=folder.name), position="top")

    async def _resume(self, folder: Path) -> None:
        with telling(self.visitor):
            self.visitor.must("admin")
            path = next(one for one in (folder / "run.toml", folder / "studio.toml") if one.is_file())
            await asyncio.to_thread(desk.start, self.visitor.tools.verb, path, folder, "--resume")
            await self._show(folder)

    async def _compare(self) -> None:
        with telling(self.visitor):
            if len(self.ticked) < 2:
                raise ConfigError(self.say(training.COMPARE), self.say(training.COMPARE_HINT))

            def work() -> Any:
                found = compare([read(folder) for folder in sorted(self.ticked)])
                is_chinese = self.visitor.language == "zh"
                drawn = [(title.zh if is_chinese else title.en, picture(lines)) for title, lines in found.pictures[:2]]
                return found, drawn

            found, drawn = await asyncio.to_thread(work)
            with self.visitor.client, window(self.visitor, self.say(training.COMPARE)).inner:
                view.draw_comparison(self.visitor, found, drawn)


def _status(folder: Path, reading: Reading) -> str:
    """As its files tell it, unless its process is known: then as that is."""
    if reading.status == "finished":
        return "finished"
    if desk.running(folder) is not None:
        return "running"
    return "stopped" if (folder / desk.PROCESS).is_file() and reading.status == "running" else reading.status


def _readings() -> list[tuple[Path, Reading]]:
    """The runs of this folder, newest first; damaged ones are told by `hanlin runs`."""
    found = []
    for path in OUT.glob("*/run.toml"):
        try:
            found.append((path.parent, read(path.parent)))
        except HanlinError:
            continue
    return sorted(found, key=lambda one: -one[1].changed)
