"""The tour: two stages of it for real, its report, and its settings from file, overrides and language."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from hanlin.cli.commands.tour import RunFile, command, take
from hanlin.cli.tour.notes import Line, Note, Piece, Plot, Table
from hanlin.cli.tour.plots import bars, line
from hanlin.cli.tour.report import Chapter, joined, render
from hanlin.core.errors import ConfigError
from hanlin.core.settings import load


def test_a_tour_of_every_stage_ends_in_a_report_and_a_log(
    smollm2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = take(RunFile(out=str(tmp_path / "tour"), lang="zh"))
    html, said = page.read_text("utf-8"), capsys.readouterr().out
    assert "The capital of France is Paris." in html
    assert "The capital of France is Paris." in said
    assert html.count("<section>") == 6
    assert not re.search(r"(src|href)=", html.replace("xlink:href", "")), "nothing comes from elsewhere"
    log = [json.loads(row) for row in (tmp_path / "tour" / "log.jsonl").read_text("utf-8").splitlines()]
    assert [row["stage"] for row in log] == list(RunFile().stages)
    assert log[-1]["bits_per_byte_en"] < 1.5 < log[-1]["bits_per_byte_zh"], "it knows English better than Chinese"
    assert load(RunFile, tmp_path / "tour" / "run.toml").out == str(tmp_path / "tour")


def test_overrides_and_language_reach_the_run(smollm2: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [f"out={tmp_path}", 'stages=["pull"]', "--lang", "zh"], catch_exceptions=False)
    assert "取得模型" in done.output
    assert "report.html" in done.output


def test_an_unknown_stage_or_setting_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'chta' is not one of the stages") as caught:
        take(RunFile(out=str(tmp_path), stages=("pull", "chta")))
    assert caught.value.fix == "did you mean 'chat'?"
    assert not (tmp_path / "run.toml").exists()
    with pytest.raises(ConfigError, match="stage is not a setting"):
        CliRunner().invoke(command, ["stage=1"], catch_exceptions=False)


def test_the_report_escapes_what_a_model_may_say() -> None:
    notes: tuple[Note, ...] = (
        Piece("<script>alert(1)"),
        Piece("</script>"),
        Line("a < b"),
        Table(("<i>",), (("<b>",),)),
        Plot("<svg></svg>", 'a "plot"'),
    )
    page = render("T", "lead", "en", [Chapter("title", "why", 1.0, notes)])
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page, "pieces of one answer are joined"
    assert "<b>" not in page
    assert "a &#34;plot&#34;" in page
    assert joined(notes)[0] == Piece("<script>alert(1)</script>")


def test_plots_keep_chinese_words_as_words() -> None:
    plot = bars(["翰林", "b"], [0.5, 0.25], "词")
    assert "翰林" in plot.svg
    assert plot.lines[0].split() == ["翰林", "50.0%", "█" * 30]
    assert "翰林 50.0%" in plot.alt
    assert "意外" in line([1.0, 2.0], "意外", "词元", "比特").svg
