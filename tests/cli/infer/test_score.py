"""`hanlin score`: files, standard input, totals, mistakes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hanlin.infer.model import Model

Run = Callable[..., Any]


def test_json_has_each_file_and_the_total(hanlin: Run, tiny_model: Model, tmp_path: Path) -> None:
    texts = {"one.txt": "hello there\n", "two.txt": "翰林 🙂\n" * 30}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, "utf-8")
    files = [str(tmp_path / name) for name in texts]
    told = json.loads(hanlin("score", "--json", "--window", "32", "--stride", "8", *files).out)
    for file, (name, text) in zip(told["files"], texts.items(), strict=True):
        expected = tiny_model.score(text, window=32, stride=8)
        assert file["file"].endswith(name)
        assert file["loglikelihood"] == pytest.approx(expected.loglikelihood)
        assert (file["words"], file["bytes"]) == (len(text.split()), len(text.encode()))
        assert file["bits_per_byte"] == pytest.approx(expected.bits_per_byte)
    assert told["total"]["tokens"] == sum(file["tokens"] for file in told["files"])
    assert (told["window"], told["stride"]) == (32, 8)


def test_standard_input_is_a_file(hanlin: Run, tiny_model: Model) -> None:
    told = json.loads(hanlin("score", "-", "--json", stdin=b"hello").out)
    assert told["total"]["loglikelihood"] == pytest.approx(tiny_model.score("hello").loglikelihood)


def test_the_table_has_a_row_per_file_and_a_total(hanlin: Run, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("hello")
    done = hanlin("score", "--window", "32", str(tmp_path / "a.txt"), str(tmp_path / "b.txt"))
    assert "total" in done.out
    assert "window 32" in done.out


def test_a_cut_without_a_border_is_said(hanlin: Run, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x" * 70_000)
    assert "1 stretch" in hanlin("score", str(tmp_path / "x.txt")).err


@pytest.mark.parametrize(
    ("content", "flags", "what"),
    [
        (b"", [], "is empty"),
        (b"good " * 300_000 + b"\xff", [], "byte 1,500,000 is 0xff"),
        (b"hello", ["--window", "65"], "context window of 64"),
        (b"hello", ["--window", "8", "--stride", "9"], "stride = 9"),
        (b"hello", ["--window", "0"], "window"),
        (b"hello", ["--window", "-4"], "window"),
    ],
    ids=["empty", "not UTF-8", "window", "stride", "zero", "negative"],
)
def test_mistakes_are_two_lines_and_exit_code_2(
    hanlin: Run, tmp_path: Path, content: bytes, flags: list[str], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(content)
    monkeypatch.setattr("hanlin.infer.score.logprobs", lambda network, tokens, new: tokens[-new:].float())
    done = hanlin("score", str(file), *flags)
    assert done.code == 2
    assert what in done.err.splitlines()[0]
    assert done.err.splitlines()[1].startswith("  fix: ")


def test_a_file_that_is_not_there_is_found_out_before_a_model_is_opened(
    hanlin: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hanlin.cli.models.open_model", lambda *given: pytest.fail("opened"))
    for name in (str(tmp_path / "missing.txt"), str(tmp_path)):
        done = hanlin("score", name)
        assert done.code == 2
        assert name in done.err
    assert hanlin("score").code == 2
