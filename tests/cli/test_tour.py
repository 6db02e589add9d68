"""The tour: two stages of it for real, its report, and its settings from file, overrides and language."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from hanlin.cli.commands.tour import RunFile, command, take
from hanlin.cli.tour.notes import Line, Note, Piece, Plot, Progress, Row, Table
from hanlin.cli.tour.plots import bars, line
from hanlin.cli.tour.print import Printer
from hanlin.cli.tour.report import Chapter, joined, render
from hanlin.cli.tour.settings import STAGES, FinetuneSettings, PretrainSettings
from hanlin.core.errors import ConfigError, StoreError
from hanlin.core.settings import load
from hanlin.infer.model import load as load_model
from hanlin.train import look


def test_a_tour_of_every_stage_ends_in_a_report_and_a_log(
    smollm2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = {"pretrain": PretrainSettings(steps=2), "finetune": FinetuneSettings(steps=1)}
    page = take(RunFile(out=str(tmp_path / "tour"), lang="zh", **short))
    html, said = page.read_text("utf-8"), capsys.readouterr().out
    assert "The capital of France is Paris." in html
    assert "The capital of France is Paris." in said
    assert html.count("<section>") == len(STAGES)
    assert not re.search(r"(src|href)=", html.replace("xlink:href", "")), "nothing comes from elsewhere"
    log = [json.loads(row) for row in (tmp_path / "tour" / "log.jsonl").read_text("utf-8").splitlines()]
    assert [row["stage"] for row in log] == list(RunFile().stages)
    told = {row["stage"]: row for row in log}
    assert told["score"]["bits_per_byte_en"] < 1.5 < told["score"]["bits_per_byte_zh"], "it knows English better"
    assert told["tokenizer"]["bytes_per_token, 刚学的"] > told["tokenizer"]["bytes_per_token, smollm2-135m-instruct"]
    assert told["pretrain"]["bits_per_byte_after"] < told["pretrain"]["bits_per_byte_before"]
    assert told["finetune"]["loss_after"] < told["finetune"]["loss_before"]
    assert abs(told["export"]["perplexity_change"]) < 0.01
    assert load_model(tmp_path / "tour" / "tiny.gguf").config.layers == 4
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


def test_the_training_stages_can_be_taken_again_and_learn_the_same(smollm2: Path, tmp_path: Path) -> None:
    settings = RunFile(out=str(tmp_path), lang="en", stages=("pretrain", "export"), pretrain=PretrainSettings(steps=2))
    logs = []
    for _ in range(2):
        take(settings)
        logs.append([json.loads(row) for row in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()])
    first, second = logs
    assert first[0]["bits_per_byte_after"] == second[0]["bits_per_byte_after"]
    assert first[1]["hash"] == second[1]["hash"]


def test_export_without_a_trained_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="pretrain is not there") as caught:
        take(RunFile(out=str(tmp_path), stages=("export",)))
    assert caught.value.fix == "take the stage pretrain before export"


def test_a_row_is_marked_on_paper_and_coloured_on_the_page_and_progress_leaves_no_trace() -> None:
    row = Row((look.Piece("<q>", "seen"), look.Piece("Paris", "graded"), look.Piece("<end>", "graded", True)))
    console = Console(record=True, no_color=True, width=80)
    printer = Printer(console)
    for note in (row, Progress("half of it"), Line("all of it")):
        printer.show(note)
    said = console.export_text()
    assert "<q>⟦Paris<end>⟧" in said
    assert "half of it" not in said
    page = render("T", "lead", "en", [Chapter("title", "why", 1.0, (row, Progress("half of it")))])
    assert '<span class="seen">&lt;q&gt;</span><span class="graded">Paris</span>' in page
    assert '<span class="graded is_special">&lt;end&gt;</span>' in page
    assert "half of it" not in page
