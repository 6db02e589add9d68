"""`hanlin next`: the table of the next token as text, JSON and picture."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hanlin.cli import plot
from hanlin.cli.visible import visible
from hanlin.infer.model import Model

Run = Callable[..., Any]


def test_json_is_the_softmax_of_the_logits(hanlin: Run, tiny_model: Model) -> None:
    told = json.loads(hanlin("next", "hello", "-k", "6", "--json").out)
    ids = tiny_model.tokenizer.encode("hello")
    logs = tiny_model.logits(torch.tensor([ids]))[0].log_softmax(-1)
    expected = logs[-1, : tiny_model.tokenizer.vocab_size].topk(6)
    assert [row["token"] for row in told["next"]] == expected.indices.tolist()
    assert [row["logprob"] for row in told["next"]] == pytest.approx(expected.values.tolist(), abs=1e-4)
    assert [row["probability"] for row in told["next"]] == pytest.approx(expected.values.exp().tolist(), rel=1e-3)
    masses = expected.values.exp().cumsum(0).tolist()
    assert [row["mass"] for row in told["next"]] == pytest.approx(masses, rel=1e-3)
    own = [float(logs[place, token]) for place, token in enumerate(ids[1:])]
    first, *others = [one["logprob"] for one in told["text"]]
    assert first is None
    assert others == pytest.approx(own, abs=1e-4)
    assert told["loglikelihood"] == pytest.approx(math.fsum(own), abs=1e-3)


def test_the_table_makes_white_space_visible_and_ends_with_the_whole(hanlin: Run) -> None:
    done = hanlin("next", "a b\n", "-k", "400")
    assert "␣" in done.out
    assert "↵" in done.out
    assert "cumulative" in done.out


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b" the", "␣the"),
        (b"\n\n", "↵↵"),
        ("翰林".encode(), "翰林"),
        ("翰".encode()[:2], "<E7><BF>"),
        (b"a\x1b[31m", "a‹U+001B›[31m"),
        ("a\u202eb".encode(), "a‹U+202E›b"),
    ],
)
def test_nothing_invisible_or_half_or_dangerous_is_shown(raw: bytes, shown: str) -> None:
    assert visible(raw) == shown


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_a_plot_is_a_picture_of_its_kind(hanlin: Run, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"next{ending}"
    done = hanlin("next", "hello", "--plot", str(path))
    assert done.code == 0
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")


def test_characters_no_font_has_are_said_and_written_as_code_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Warnings are errors here: a missing glyph would be one."""
    monkeypatch.setattr("hanlin.cli.plot._ordered", lambda files: [])
    plot.bars(tmp_path / "zh.png", ["翰林", "␣the", "$x^2$", "↵"], [0.5, 0.3, 0.1, 0.1], "t")
    assert "林" in capsys.readouterr().err
    assert (tmp_path / "zh.png").stat().st_size > 1000


def test_a_font_that_has_the_characters_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    has = {"DejaVu Sans": set("the"), "Noto Sans CJK SC": set("翰林the"), "Aaa": set("x")}
    monkeypatch.setattr("hanlin.cli.plot._covered", lambda name, files, wanted: wanted & has.get(name, set()))
    monkeypatch.setattr("hanlin.cli.plot._ordered", lambda files: ["Noto Sans CJK SC", "Aaa"])
    assert plot.fonts("the 翰林") == (["DejaVu Sans", "Noto Sans CJK SC"], set())
    assert plot.fonts("the 翰林🙂") == (["DejaVu Sans", "Noto Sans CJK SC"], {"🙂"})


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "there is no text"),
        ([""], "empty"),
        (["a", "b", "c"], "3 arguments"),
        (["hello", "-k", "0"], "-k"),
        (["hello", "--plot", "x.bmp"], "x.bmp"),
        (["hello", "--plot", "no/such/folder/x.png"], "folder"),
        (["word " * 30], "context window"),
        (["no/such/file.txt"], "there is no file"),
    ],
    ids=["none", "empty", "three", "k", "bmp", "folder", "long", "file"],
)
def test_mistakes_are_two_lines_and_exit_code_2(hanlin: Run, arguments: list[str], what: str) -> None:
    done = hanlin("next", *arguments)
    assert done.code == 2
    assert what in done.err.splitlines()[0]
    assert done.err.splitlines()[1].startswith("  fix: ")
