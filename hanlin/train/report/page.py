"""A run, or several, in; one self-contained HTML page out: offline, light and dark, English and Chinese in one file."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from hanlin.core import lineage
from hanlin.core.page import Block, Grid, Label, Picture, Section, Words, render, shown, write
from hanlin.train.report.compare import FIGURES, Comparison
from hanlin.train.report.curves import Curve, curves, picture
from hanlin.train.report.folder import sources
from hanlin.train.report.read import Reading, as_object, read

REPORT = "report.html"
MOST_SAMPLES, MOST_NOTES = 40, 200


def write_report(run: Path) -> Path:
    """Write RUN/report.html; returns its path.

    Raises:
        StoreError: it is no run folder, or it cannot be written.
        DataError: a file in it is damaged.
        CapacityError: the disk is full.
    """
    reading = read(run)
    status = {"finished": "完成", "running": "进行中", "stopped": "中断", "empty": "尚无步数"}[reading.status]
    lead = Label(f"{reading.objective}, {reading.status}", f"目标 {reading.objective}，{status}")
    page = render(reading.name, lead, [section for section in _sections(reading) if section[1]])
    return write(run / REPORT, page)


def write_comparison(comparison: Comparison, path: Path) -> Path:
    """Write a page with the runs side by side; returns its path.

    Raises:
        StoreError: it cannot be written.
        CapacityError: the disk is full.
    """
    names = (Label("", ""), *comparison.names)
    figures = Grid(
        names,
        tuple((row.label, *map(shown, row.values)) for row in comparison.figures),
        tuple(row.best for row in comparison.figures),
    )
    settings = Grid(names, tuple((key, *map(shown, values)) for key, values in comparison.settings.items()))
    sections: list[Section] = [
        (Label("Figures", "指标"), [figures]),
        (Label("Curves", "曲线"), [_picture(title, lines) for title, lines in comparison.pictures]),
        (Label("Settings that differ", "不同的设置"), [settings] if settings.rows else []),
    ]
    title = " · ".join(comparison.names)
    lead = Label(f"{len(comparison.names)} runs side by side", f"{len(comparison.names)} 次训练对照")
    return write(path, render(title, lead, [section for section in sections if section[1]]))


def _sections(reading: Reading) -> Iterator[Section]:
    told = as_object(reading)
    facts = [(label, shown(told[key])) for key, label in FIGURES.items() if told[key] is not None]
    facts.append((Label("last written", "最后写入"), time.strftime("%Y-%m-%d %H:%M", time.localtime(reading.changed))))
    yield Label("At a glance", "概览"), [Grid((), tuple(facts))]
    yield Label("Curves", "曲线"), list(_pictures(curves(reading)))
    yield Label("Predicted and actual", "预计与实际"), _plan(reading.plan)
    yield Label("What it writes", "模型习作"), _samples(reading)
    yield Label("Notes", "记事"), _notes(reading)
    yield Label("Data", "数据"), _data(reading)
    yield Label("Settings", "设置"), [Words(Label("run.toml", "run.toml"), tomli_w.dumps(dict(reading.settings)))]


def _pictures(pictures: Iterator[tuple[Label, dict[str, Curve]]]) -> Iterator[Picture]:
    for title, lines in pictures:
        real = {name: curve for name, curve in lines.items() if not curve.is_empty}
        if real:
            yield _picture(title, real)


def _picture(title: Label, lines: Mapping[str, Curve]) -> Picture:
    ends = ", ".join(f"{name} from {shown(it.values[0])} to {shown(it.values[-1])}" for name, it in lines.items())
    return Picture(title, picture(lines), f"{title.en}: {ends}")


def _plan(plan: Mapping[str, Any]) -> list[Block]:
    predicted, actual = plan.get("predicted"), plan.get("actual")
    if not isinstance(predicted, dict):
        return []
    actual = actual if isinstance(actual, dict) else {}
    head = (Label("figure", "指标"), Label("predicted", "预计"), Label("actual", "实际"))
    rows = [(name, _interval(value), shown(actual.get(name))) for name, value in predicted.items()]
    return [Grid(head, tuple(row for row in rows if row[1]))]


def _interval(value: Any) -> str:
    """A prediction: a number, or one with its bounds; empty for anything else a plan holds."""
    if isinstance(value, dict) and {"low", "value", "high"} <= value.keys():
        return f"{shown(value['value'])} ({shown(value['low'])} – {shown(value['high'])})"
    return shown(value) if isinstance(value, int | float) else ""


def _samples(reading: Reading) -> list[Block]:
    found = [(step.number, step.sample) for step in reading.steps if step.sample is not None]
    every = max(1, -(-len(found) // MOST_SAMPLES))
    kept = [*found[:-1:every], *found[-1:]]
    return [Words(Label(f"after step {number:,}", f"第 {number:,} 步之后"), text) for number, text in kept]


def _notes(reading: Reading) -> list[Block]:
    rows = [(f"{note.step:,}", note.text) for note in reading.notes[-MOST_NOTES:]]
    if len(reading.notes) > MOST_NOTES:
        rows.insert(0, ("…", f"{len(reading.notes) - MOST_NOTES:,} earlier notes are in metrics.jsonl"))
    if reading.is_cut:
        rows.append(("", "the last line of metrics.jsonl is half a line: the run was killed, or is writing it"))
    return [Grid((Label("step", "步"), Label("note", "记事")), tuple(rows))] if rows else []


def _data(reading: Reading) -> list[Block]:
    """What was read, by hash where the model's lineage has it, and what the log says of it."""
    model = reading.run / "model"
    origin = lineage.read(model) if model.is_dir() else None
    hashes = {parent.name: parent.hash for parent in origin.parents} if origin else {}
    rows = [
        (f"data.{part}[{index}]", path, hashes.get(f"data.{part}[{index}]", "–"))
        for part in ("train", "validation")
        for index, path in enumerate(sources(reading.settings, part))
    ]
    events = [event for event in reading.events if event.get("event") == "data"]
    told = [
        (key, shown(value), "") for event in events for key, value in event.items() if key not in ("event", "seconds")
    ]
    head = (Label("what", "项目"), Label("path or value", "路径或数值"), Label("SHA-256", "SHA-256"))
    return [Grid(head, (*rows, *told))] if rows or told else []
