"""`hanlin runs`, `export` and `lineage` as a user calls them: tables, JSON, pages, two lines for a mistake."""

import json
import sys
from pathlib import Path

import pytest

from hanlin.cli.main import main
from hanlin.core import lineage
from train import runs


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run a verb in the test's folder; its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def called(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["hanlin", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code if isinstance(ended.value.code, int) else 1

    return called


def test_runs_are_listed_newest_first(call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("runs") == 0
    assert "no runs in out" in capsys.readouterr().out
    runs.run(tmp_path / "out" / "one")
    runs.run(tmp_path / "out" / "two", steps=runs.STEPS[:2])
    assert call("runs") == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == "name objective steps loss validation bits/byte tokens/s status age".split()
    assert table[1].split()[:8] == "two next_token 2 1.5000 2.5000 1.2500 512.0 running".split()
    assert table[2].split()[:8] == "one next_token 4 0.7500 1.5000 0.7500 512.0 finished".split()
    assert call("runs", "--json") == 0
    assert [run["name"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["two", "one"]


def test_a_damaged_run_does_not_hide_the_others(call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.run(tmp_path / "out" / "good")
    (runs.run(tmp_path / "out" / "bad") / "metrics.jsonl").write_text("{}\n{}\n")
    assert call("runs") == 2
    shown = capsys.readouterr()
    assert "good" in shown.out
    assert len(shown.err.splitlines()) == 2
    assert "line 1" in shown.err


def test_one_run_is_shown_with_its_curve_and_its_page(call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.run(tmp_path / "out" / "one")
    assert call("runs", "show", "one") == 0
    page = capsys.readouterr().out
    for part in ("validation loss", "A training", "step 4", "a note & more", "<b>sat</b> 猫"):
        assert part in page, part
    assert call("runs", "show", str(run), "--json") == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [{"step": 2, "text": "a note & more"}]
    assert call("runs", "show", "one", "--html") == 0
    assert (run / "report.html").is_file()
    assert call("runs", "show", "oen") == 2
    assert "did you mean 'one'" in capsys.readouterr().err


def test_a_sample_cannot_steer_the_terminal(call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.run(tmp_path / "out" / "one", steps=[runs.step(1, sample="\x1b[2Jgone", notes=["\x1b]0;title\x07"])])
    assert call("runs", "show", "one") == 0
    assert "\x1b[2J" not in (page := capsys.readouterr().out)
    assert "\x07" not in page


def test_runs_are_compared(call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.run(tmp_path / "out" / "one")
    runs.run(tmp_path / "out" / "two", settings={"seed": 9})
    assert call("runs", "compare", "one", "two") == 0
    page = capsys.readouterr().out
    assert "seed" in page
    assert "train.lr" not in page
    assert "A one   B two" in page
    assert call("runs", "compare", "one", "two", "--html", "both.html") == 0
    assert "<svg" in (tmp_path / "both.html").read_text("utf-8")
    assert call("runs", "compare", "one", "two", "--json") == 0
    assert json.loads(capsys.readouterr().out)["settings"] == {"seed": [3, 9]}
    assert call("runs", "compare", "one") == 2
    assert "name two or more" in capsys.readouterr().err


def test_an_export_is_certified_and_drawn(call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.run(tmp_path / "out" / "one", runs.checkpoint())
    (tmp_path / "probe.txt").write_text("to be or not to be\n\n学而时习之", "utf-8")
    assert call("export", "out/one", "--to", "made.gguf", "--kind", "q8_0", "--probe", "probe.txt") == 0
    shown = capsys.readouterr()
    for part in ("chat template: the same on 6 cases", "quantised", "Q8_0", "as trained", "(texts)"):
        assert part in shown.out, part
    assert "writing made.gguf as Q8_0" in shown.err
    assert call("export", "out/one", "--to", "folder", "--json") == 0
    assert json.loads(capsys.readouterr().out)["is_passed"] is True
    assert call("lineage", "made.gguf") == 0
    tree = capsys.readouterr().out
    for part in (
        "made.gguf",
        "export",
        "model",
        "checkpoint",
        "data.train[0]",
        lineage.content_hash(Path("made.gguf"))[:12],
    ):
        assert part in tree, part
    (tmp_path / "out" / "corpus.txt").write_text("other")
    assert call("lineage", "made.gguf", "--json") == 2
    shown = capsys.readouterr()
    assert json.loads(shown.out)["parents"][0]["parents"][0]["standing"] == "changed"
    assert "data.train[0] is not what its lineage says" in shown.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "out/none", "--to", "folder"),
        ("export", "out/empty", "--to", "folder"),
        ("export", "out/empty", "--to", "folder", "--kind", "Q4_0"),
        ("export", "out/empty"),
        ("lineage", "none"),
        ("lineage", "out/empty"),
        ("runs", "show", "none"),
    ],
)
def test_a_mistake_is_two_lines(
    call, tmp_path: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    runs.run(tmp_path / "out" / "empty", steps=[])
    assert call(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2, lines
    assert lines[1].startswith("  fix: ")
