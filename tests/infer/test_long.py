"""Texts of any length: encoded in pieces, with the ids of the whole."""

import io
import random
from collections.abc import Callable

import pytest

from hanlin.core.errors import DataError
from hanlin.text.long import decoded, encode_long
from hanlin.text.tokenizer import Tokenizer

SNIPPETS = [
    *(
        "The quick brown fox, jumps!\n\n",
        "  indented\n\tcode(x) = 12345;\n",
        "Hello world ",
        "don't we'll ",
        "_under_ ",
        "\n",
    ),
    *(
        "人们都说，翰林院是个好地方。",
        "字\n",
        "。”",
        "\u3000全角",
        "مرحبا بالعالم ",
        "e\u0301 combining",
        "🙂👨‍👩‍👧",
        "   ",
        "end.\n",
    ),
    *("\r\nwin\r\n", "1234567890 ", "x=1;y=2\n", "...\n---\n", "<|im_end|>", "</s>", "<|endoftext|> "),
]


@pytest.mark.parametrize("name", ["smollm2", "qwen2.5-coder-0.5b", "gemma3-270m-base"])
@pytest.mark.parametrize("parse_special", [False, True])
def test_pieces_have_the_ids_of_the_whole(
    tokenizer_of: Callable[[str], Tokenizer], name: str, parse_special: bool
) -> None:
    tokenizer, chance = tokenizer_of(name), random.Random(5)
    for _ in range(40):
        weights = [chance.random() ** 3 for _ in SNIPPETS]
        text = "".join(chance.choices(SNIPPETS, weights, k=300))
        blocks = [text[start : start + 97] for start in range(0, len(text), 97)]
        pieces = list(encode_long(tokenizer, blocks, parse_special=parse_special, piece=300))
        assert "".join(piece.text for piece in pieces) == text
        if all(piece.is_exact for piece in pieces):
            ids = [token for piece in pieces for token in piece.tokens]
            assert ids == tokenizer.encode(text, add_special=False, parse_special=parse_special)
        assert sum(not piece.is_exact for piece in pieces) <= 2
        assert len(pieces) > 5


def test_a_stretch_without_any_border_is_cut_and_says_so(tokenizer_of: Callable[[str], Tokenizer]) -> None:
    tokenizer = tokenizer_of("smollm2")
    pieces = list(encode_long(tokenizer, ["x" * 1000], piece=300))
    assert [piece.is_exact for piece in pieces] == [True, False, False, False]
    assert "".join(tokenizer.decode(piece.tokens) for piece in pieces) == "x" * 1000


def test_a_character_split_between_blocks_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanlin.text.long.BLOCK", 5)
    text = "a翰林🙂\r\nend" * 7
    assert "".join(decoded(io.BytesIO(text.encode()).read, "here")) == text


@pytest.mark.parametrize(("content", "byte"), [(b"good \xff", 5), ("翰".encode() * 9 + b"\xe7\xbf", 27), (b"\x80", 0)])
def test_what_is_not_utf_8_is_refused_with_its_place(
    content: bytes, byte: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hanlin.text.long.BLOCK", 4)
    with pytest.raises(DataError, match=rf"notes\.txt is not UTF-8 text: byte {byte} is 0x"):
        list(decoded(io.BytesIO(content).read, "notes.txt"))
