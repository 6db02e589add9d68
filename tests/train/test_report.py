"""Reports say what the metrics say; half a line is no harm, a wrong one is named; pages need nothing from elsewhere."""

import json
import math
import os
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hanlin.core.errors import DataError, StoreError
from hanlin.core.page import shown
from hanlin.train.report.compare import compare
from hanlin.train.report.curves import Curve, curves, drawn, picture, thinned
from hanlin.train.report.page import write_comparison, write_report
from hanlin.train.report.read import as_object, read
from train import runs


class Page(HTMLParser):
    """Tags that stand open at the end, addresses, and all text."""

    VOID = ("meta", "input", "br")

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_steps_are_read_as_they_were_written(tmp_path: Path) -> None:
    reading = read(runs.run(tmp_path / "run"))
    assert [step.number for step in reading.steps] == [1, 2, 3, 4]
    assert [step.loss for step in reading.steps] == [3.0, 1.5, 1.0, 0.75]
    assert reading.best is not None
    assert (reading.best[0], reading.best[1].loss, reading.best[1].figures) == (3, 1.5, {"accuracy": 0.75})
    assert reading.tokens_per_second == 1024 / 2
    assert reading.waiting_share == pytest.approx(0.02) and as_object(reading)["waiting_share"] == 0.02
    assert reading.peak_share == pytest.approx(1 / 3)  # of equal work the second half took twice as long
    told = as_object(reading)
    assert (told["status"], told["steps"], told["stop"], told["notes"]) == ("finished", 4, "steps", 1)
    assert json.loads(json.dumps(told)) == told


def test_half_a_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    run = runs.run(tmp_path / "run")
    raw = (run / "metrics.jsonl").read_bytes()
    for cut in range(1, 60, 7):
        (run / "metrics.jsonl").write_bytes(raw[:-1][:-cut])
        reading = read(run)
        assert reading.is_cut
        assert len(reading.steps) == 3
    assert "half a line" in write_report(run).read_text("utf-8")


def test_a_line_being_written_in_the_middle_of_a_character_is_no_error(tmp_path: Path) -> None:
    run = runs.run(tmp_path / "run", steps=[runs.step(1)])
    with (run / "metrics.jsonl").open("ab") as sink:
        sink.write('{"sample": "猫'.encode()[:-1])
    assert read(run).is_cut


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "no JSON"),
        ("[]", "no table"),
        ("\udcff", "no JSON"),
        ('{"number": 1}', "required"),
        (json.dumps(runs.step(1) | {"rate": "fast"}), "rate 'fast'"),
        (json.dumps(runs.step(1) | {"validation": {"loss": 1}}), r"validation\."),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_a_wrong_line_is_named_in_two_lines(tmp_path: Path, line: str, reason: str) -> None:
    run = runs.run(tmp_path / "run")
    good = json.dumps(runs.step(1))
    text = f"{good}\n{line}\n{good}\n"
    (run / "metrics.jsonl").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=reason) as found:
        read(run)
    assert "metrics.jsonl, line 2" in found.value.what
    assert len(str(found.value).splitlines()) == 2


def test_numbers_that_are_none_are_read_as_such(tmp_path: Path) -> None:
    lines = [runs.step(1, loss=math.nan), {**runs.step(2), "loss": None, "gradient_norm": None}, runs.step(3)]
    reading = read(runs.run(tmp_path / "run", steps=lines))
    assert [math.isnan(step.loss) for step in reading.steps] == [True, True, False]
    assert write_report(reading.run).is_file()
    json.dumps(as_object(reading), allow_nan=False)


def test_a_run_that_went_back_or_was_resumed_has_every_step_once(tmp_path: Path) -> None:
    back = runs.step(2, loss=math.nan, rows=0, tokens=0, seconds=0.0, notes=["step 4 diverged: back to step 2"])
    lines = [*(runs.step(number) for number in (1, 2, 3)), back, runs.step(3, loss=9.0), runs.step(4, loss=8.0)]
    reading = read(runs.run(tmp_path / "back", steps=lines))
    assert [(step.number, step.loss) for step in reading.steps] == [(1, 3.0), (2, 1.5), (3, 9.0), (4, 8.0)]
    assert [note.text for note in reading.notes] == ["step 4 diverged: back to step 2"]
    lines = [*(runs.step(number) for number in (1, 2, 3)), runs.step(2, loss=7.0)]
    reading = read(runs.run(tmp_path / "resumed", steps=lines))
    assert [(step.number, step.loss) for step in reading.steps] == [(1, 3.0), (2, 7.0)]


def test_a_run_is_finished_running_stopped_or_empty(tmp_path: Path) -> None:
    assert read(runs.run(tmp_path / "finished")).status == "finished"
    run = runs.run(tmp_path / "going", steps=runs.STEPS[:2])
    assert read(run).status == "running"
    old = time.time() - 1000
    os.utime(run / "metrics.jsonl", (old, old))
    assert read(run).status == "stopped"
    slow = [runs.step(1, seconds=200.0)]
    run = runs.run(tmp_path / "slow", steps=slow)
    os.utime(run / "metrics.jsonl", (old, old))
    assert read(run).status == "running", "a step takes that long"
    run = runs.run(tmp_path / "empty", steps=[])
    os.utime(run / "metrics.jsonl", (old, old))
    assert read(run).status == "empty"
    assert write_report(run).is_file()


def test_the_report_is_whole_offline_and_harmless(tmp_path: Path) -> None:
    run = runs.run(tmp_path / "run", settings={"train": {"lr": 1e-3, "schedule": {"use": "wsd"}}})
    plan = {"predicted": {"seconds": {"low": 1.5, "value": 2.0, "high": 2.5}, "steps": 4}, "actual": {"seconds": 2.1}}
    (run / "plan.json").write_text(json.dumps(plan))
    source = write_report(run).read_text("utf-8")
    page = Page(source)
    assert page.open == []
    assert all(address.startswith("#") for address in page.addresses)
    assert "@import" not in source
    assert "url(http" not in source
    assert "<b>sat</b>" not in source
    for part in ("<b>sat</b> 猫", "a note & more", 'use = "wsd"', "2.0000 (1.5000 – 2.5000)", "examples", "学习率"):
        assert part in page.text, part
    for svg in re.findall(r"<svg.*?</svg>", source, re.S):
        ElementTree.fromstring(svg)
    titles = (
        "Loss, nats",
        "Bits per byte",
        "Learning rate",
        "Gradient norm",
        "Tokens per second",
        "margin",
        "accuracy",
    )
    for title in titles:
        assert title in page.text, title
    assert "prefers-color-scheme: dark" in source
    assert "#1d2430" not in re.sub(r"<style>.*?</style>", "", source, count=1, flags=re.S), "ink follows the page"


def test_a_picture_draws_the_points_it_is_given() -> None:
    svg = picture({"_a$x$": Curve((1, 2, 3), (5.0, 1.0, math.nan)), "b": Curve((1, 3), (2.0, 2.0))})
    assert "_a$x$" in svg
    assert svg.count("<use") >= 4


def test_a_long_curve_is_drawn_as_means_of_stretches() -> None:
    values = tuple(float(number) for number in range(10_000))
    curve = thinned(Curve(tuple(range(10_000)), (math.nan, *values[1:])), 100)
    assert len(curve.steps) == 100
    assert curve.steps[-1] == 9_999
    assert curve.values[1] == pytest.approx(sum(range(100, 200)) / 100)
    assert curve.values[0] == pytest.approx(50.0)


def test_the_terminals_plot_has_the_ends_in_their_corners() -> None:
    lines = drawn({"one": Curve((0, 10), (4.0, 1.0)), "two": Curve((5,), (2.5,))}, width=21, height=7)
    assert lines[0].startswith("        4 │A")
    assert lines[6].endswith("A")
    assert len(lines[6]) == 11 + 21
    assert lines[3][11 + 10] == "B"
    assert all(len(line) <= 11 + 21 for line in lines)
    assert drawn({"none": Curve((1,), (math.nan,))}) == ["nothing to draw yet"]
    assert drawn({"flat": Curve((1, 2), (3.0, 3.0))})


def test_runs_side_by_side(tmp_path: Path) -> None:
    one = read(runs.run(tmp_path / "one"))
    faster = [runs.step(number, loss=2.0 / number, seconds=0.25) for number in (1, 2)]
    two = read(runs.run(tmp_path / "two", steps=faster, settings={"train": {"lr": 2e-3, "steps": 4}, "seed": 4}))
    found = compare([one, two])
    assert found.names == ("one", "two")
    assert dict(found.settings) == {"seed": (3, 4), "train.lr": (1e-3, 2e-3)}
    rows = {row.label.en: row for row in found.figures}
    assert rows["training loss, last"].values == (0.75, 1.0)
    assert (rows["tokens per second"].values, rows["tokens per second"].best) == ((512.0, 1024.0), 1)
    assert rows["validation loss, best"].values == (1.5, None)
    title, lines = next((title, lines) for title, lines in found.pictures if title.en == "Loss, nats: training")
    assert title.zh
    assert {name: curve.values for name, curve in lines.items()} == {"one": (3.0, 1.5, 1.0, 0.75), "two": (2.0, 1.0)}
    source = write_comparison(found, tmp_path / "page.html").read_text("utf-8")
    page = Page(source)
    assert page.open == []
    assert "train.lr" in page.text
    assert source.count('class="best"') == 1


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    run = read(runs.run(tmp_path / "run"))
    other = read(runs.run(tmp_path / "b" / "run"))
    assert compare([run, other]).names == (str(run.run), str(other.run))
    assert len(set(compare([run, run]).names)) == 2


@pytest.mark.parametrize("name", ["plan.json", "log.jsonl", "run.toml"])
def test_a_damaged_neighbour_is_two_lines(tmp_path: Path, name: str) -> None:
    run = runs.run(tmp_path / "run")
    (run / name).write_bytes(b"{[\n\xff\n")
    with pytest.raises(DataError, match=re.escape(name)) as found:
        write_report(run)
    assert len(str(found.value).splitlines()) == 2


def test_a_folder_that_is_no_run_says_so(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(StoreError, match="no run folder"):
            read(path)


def test_every_curve_of_a_run_has_both_languages(tmp_path: Path) -> None:
    for label, _ in curves(read(runs.run(tmp_path / "run"))):
        assert label.en
        assert re.search("[\u4e00-\u9fff]", label.zh)


def test_figures_are_shown_as_long_as_they_mean_something() -> None:
    assert [shown(value) for value in (None, 3, 12345, 0.5, 512.0, 1e-5, 2e12, math.nan, True, "x")] == [
        "–",
        "3",
        "12,345",
        "0.5000",
        "512.0",
        "1e-05",
        "2e+12",
        "nan",
        "True",
        "x",
    ]
