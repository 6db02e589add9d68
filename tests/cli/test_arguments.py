"""Which word is the model, which the text, which a file."""

import io
import os
import sys
from pathlib import Path

import pytest

from hanlin.cli.arguments import model_and_files, model_and_text, open_text, read_text
from hanlin.core.errors import ConfigError, DataError


def test_one_argument_is_the_text_and_of_two_the_first_is_the_model() -> None:
    assert model_and_text(("hello",)) == (None, "hello")
    assert model_and_text(("tiny", "hello")) == ("tiny", "hello")
    assert model_and_text(("hello",), "tiny") == ("tiny", "hello")


def test_no_text_or_too_many_words_are_errors_with_a_fix() -> None:
    for arguments, model in ((), None), (("a", "b", "c"), None), (("a", "b"), "tiny"):
        with pytest.raises(ConfigError) as caught:
            model_and_text(arguments, model)
        assert caught.value.fix


def test_of_several_files_the_first_is_the_model_unless_it_is_a_text_file(tmp_path: Path) -> None:
    text, gguf = tmp_path / "a.txt", tmp_path / "m.gguf"
    text.write_text("a")
    gguf.write_text("GGUF")
    assert model_and_files((str(text), str(text))) == (None, (str(text), str(text)))
    assert model_and_files(("tiny", str(text))) == ("tiny", (str(text),))
    assert model_and_files((str(gguf), str(text))) == (str(gguf), (str(text),))
    assert model_and_files(("-", str(text))) == (None, ("-", str(text)))
    assert model_and_files((str(text),), "tiny") == ("tiny", (str(text),))


def test_a_word_is_itself_and_an_existing_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_bytes("你好\r\n".encode())
    monkeypatch.chdir(tmp_path)
    assert (read_text("and/or").text, read_text("and/or").source) == ("and/or", None)
    assert (read_text("notes.txt").text, read_text("notes.txt").source) == ("你好\r\n", "notes.txt")
    with open_text("notes.txt") as (source, blocks):
        assert (source, "".join(blocks)) == ("notes.txt", "你好\r\n")
    assert read_text("x" * 10_000).text == "x" * 10_000


def test_standard_input_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("翰林".encode())))
    assert read_text("-").text == "翰林"


def test_a_cut_never_goes_through_a_character_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("翰" * 100, "utf-8")
    for limit in (30, 31, 32):
        text = read_text(str(path), limit_bytes=limit)
        assert (text.text, text.is_cut) == ("翰" * 10, True)
    assert not read_text(str(path), limit_bytes=300).is_cut


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "empty"), (b"ab\xff", "byte 2 is 0xff"), (b"a\0b", "zero"), ("翰".encode()[:2], "not UTF-8")],
)
def test_files_that_hold_no_text_are_told_by_name(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        read_text(str(path))
    assert "bad.txt" in caught.value.what
    with pytest.raises(DataError, match=says), open_text(str(path)) as (_, blocks):
        list(blocks)


@pytest.mark.parametrize("argument", ["", "no-such.txt", "./none", "/no/such/place", "~/none", ".", "/", "a\udcff"])
def test_what_is_neither_text_nor_file_is_an_error_with_a_fix(argument: str) -> None:
    with pytest.raises(DataError) as caught:
        read_text(argument)
    assert caught.value.fix


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "secret.txt"
    path.write_text("x")
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read_text(str(path))
