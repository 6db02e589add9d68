"""One run as it stands, or several beside each other: figures, curves, samples, plan against actual."""

import statistics
from pathlib import Path
from typing import Any

from nicegui import ui

from hanlin.core.page import shown
from hanlin.studio.models.dialogs import table
from hanlin.studio.parts import box, words
from hanlin.studio.training import desk
from hanlin.studio.units import duration, size
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import training
from hanlin.train.report.compare import Comparison
from hanlin.train.report.curves import curves, picture
from hanlin.train.report.read import Reading


def pictures(reading: Reading) -> str:
    """The loss curves as SVG; "" while there are none."""
    _, lines = next(iter(curves(reading)))
    found = {name: curve for name, curve in lines.items() if not curve.is_empty}
    return picture(found) if found else ""


def draw(visitor: Visitor, reading: Reading, svg: str, folder: Path) -> None:
    """One run."""
    say = visitor.say
    with box("tiles"):
        for name, value in _figures(visitor, reading):
            with box("tile"):
                words("div", name, "label")
                words("div", value, "big")
    if svg:
        ui.html(svg, sanitize=False).classes("picture")
    _planned(visitor, reading)
    sample = next((step.sample for step in reversed(reading.steps) if step.sample), None)
    if sample:
        words("h3", say(training.SAMPLE))
        words("pre", sample, "out")
    if reading.notes:
        words("h3", say(training.NOTES))
        for note in reading.notes[-6:]:
            words("p", f"{say(training.STEP)} {note.step}: {note.text}", "notice")
    said = desk.last_words(folder)
    if said:
        with ui.expansion(say(training.SAID)).props("dense"):
            words("pre", said, "out")


def _figures(visitor: Visitor, reading: Reading) -> list[tuple[str, str]]:
    say, last, best = visitor.say, reading.last, reading.best
    steps = reading.settings.get("train", {}).get("steps")
    if last is None:
        return [(say(training.STEP), f"0 / {steps or '…'}")]
    told = [(say(training.STEP), f"{last.number:,} / {steps:,}" if steps else f"{last.number:,}")]
    told.append((say(training.LOSS), f"{last.loss:.4f}"))
    if best:
        told.append((say(training.VALIDATION), f"{best[1].loss:.4f}"))
    told.append((say(training.SPEED), f"{reading.tokens_per_second:,.0f}"))
    if reading.status == "running" and steps:
        each = statistics.median(step.seconds for step in reading.steps[-50:])
        told.append((say(training.LEFT), duration((steps - last.number) * each, visitor.language)))
    told.append((say(training.PASSED), duration(reading.seconds, visitor.language)))
    return told


def _planned(visitor: Visitor, reading: Reading) -> None:
    """What was planned, and what came."""
    if not reading.plan:
        return
    best = reading.best
    actual = {"loss": best[1].loss if best else None, **(reading.plan.get("actual") or {})}
    words("h3", visitor.say(training.PLANNED))
    plan_table(visitor, reading.plan.get("predicted") or {}, actual)


def plan_table(visitor: Visitor, plan: Any, actual: dict[str, float | None]) -> None:
    """Each figure of a plan with its interval, and what came."""
    rows = []
    for name, word in training.PLAN_ROWS.items():
        guess = plan.get(name)
        if not isinstance(guess, dict):
            continue
        cells = [_figure(visitor, name, guess.get(key)) for key in ("value", "low", "high")]
        rows.append((visitor.say(word), *cells, _figure(visitor, name, actual.get(name))))
    with box("wide"):
        table([visitor.say(word) for word in training.COLUMNS], rows, slice(1, 5))


def _figure(visitor: Visitor, name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name == "seconds":
        return duration(value, visitor.language)
    return size(value) if name.endswith("bytes") else f"{value:.3f}"


def draw_comparison(visitor: Visitor, found: Comparison, svgs: list[tuple[str, str]]) -> None:
    """Runs side by side."""
    say = visitor.say
    for title, svg in svgs:
        words("h3", title)
        ui.html(svg, sanitize=False).classes("picture")
    words("h3", say(training.FIGURES))
    is_chinese = visitor.language == "zh"
    rows = [
        (
            row.label.zh if is_chinese else row.label.en,
            *(f"{shown(v)}{' ★' if at == row.best else ''}" for at, v in enumerate(row.values)),
        )
        for row in found.figures
    ]
    with box("wide"):
        table(["", *found.names], rows, slice(1, None))
        words("h3", say(training.SETTINGS_DIFFER))
        table(["", *found.names], [(key, *map(shown, values)) for key, values in found.settings.items()], slice(0, 0))
