"""Pieces of a row join up to its text, say what is read and what is graded, and never hold half a character."""

from functools import cache

import numpy as np
import torch

from hanlin.data.batch import Batch, Marked, collate
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.look import Piece, look, look_at_row
from infer.tiny import tokenizer

tiny = cache(tokenizer)


def told(pieces: list[Piece]) -> list[tuple[str, str]]:
    return [(piece.kind, piece.text) for piece in pieces]


def marked(tokenizer: Tokenizer, seen: str, graded: str) -> Marked:
    """A prompt, an answer, an end."""
    first, second = (tokenizer.encode(text, parse_special=False) for text in (seen, graded))
    ids = [*first, *second, tokenizer.eos[0]]
    return Marked(np.array(ids, np.int32), np.arange(len(ids)) >= len(first))


def test_an_example_is_told_as_seen_and_graded_and_its_end_as_special() -> None:
    pieces = look(marked(tiny(), "hello ", "ab"), tiny())
    assert told(pieces) == [("seen", "hello "), ("graded", "ab"), ("graded", "<end>")]
    assert [piece.is_special for piece in pieces] == [False, False, True]
    assert "".join(piece.text for piece in pieces) == "hello ab<end>"


def test_without_marks_all_but_the_first_token_are_graded() -> None:
    pieces = look(Marked(np.array(tiny().encode("xyz"), np.int32)), tiny())
    assert told(pieces) == [("seen", "x"), ("graded", "yz")]


def test_what_lies_beyond_the_context_is_cut() -> None:
    pieces = look(marked(tiny(), "xyz", "uvw"), tiny(), most=4)
    assert told(pieces) == [("seen", "xyz"), ("graded", "u"), ("cut", "vw"), ("cut", "<end>")]


def test_a_character_over_a_border_of_kinds_stands_whole_in_the_later_piece() -> None:
    made = tiny()
    raw = "甲😀乙".encode()
    ids = np.array([made.encode("x")[0] - ord("x") + byte for byte in raw], np.int32)
    assert made.decode(ids.tolist()) == "甲😀乙"
    for border in range(len(raw) + 1):
        pieces = look(Marked(ids, np.arange(len(ids)) >= border), made)
        assert "".join(piece.text for piece in pieces) == "甲😀乙" and "\ufffd" not in "".join(it.text for it in pieces)
        assert sum(piece.tokens for piece in pieces) == len(ids)


def test_bytes_that_never_become_a_character_are_told_once() -> None:
    made = tiny()
    first = made.encode("x")[0] - ord("x")
    ids = np.array([made.encode("a")[0], first + 0xE4, first + 0xBD, made.eos[0]], np.int32)
    pieces = look(Marked(ids, np.array([False, False, True, True])), made)
    assert "".join(piece.text for piece in pieces) == "a\ufffd<end>"


def test_a_packed_row_has_borders_and_padding_and_grades_nothing_across_them() -> None:
    made = tiny()
    row = [marked(made, "xy", "uv"), marked(made, "pq", "r")]
    pieces = look_at_row(collate([row], shifts=True, pad=made.eos[0], width=12), 0, made)
    assert told(pieces) == [
        ("border", "1"),
        ("seen", "xy"),
        ("graded", "uv"),
        ("graded", "<end>"),
        ("border", "2"),
        ("seen", "pq"),
        ("graded", "r"),
        ("graded", "<end>"),
        ("padding", ""),
    ]
    assert pieces[-1].tokens == 12 - 4 - 3


def test_a_row_tells_as_many_graded_tokens_as_the_batch_weighs() -> None:
    made, draw = tiny(), np.random.default_rng(3)
    for _ in range(30):
        row = [
            Marked(np.arange(n, dtype=np.int32) % 256 + 1, draw.random(n) < 0.5)
            for n in draw.integers(2, 9, draw.integers(1, 4))
        ]
        for shifts in (True, False):
            batch = collate([row], shifts=shifts, pad=made.eos[0], width=32)
            pieces = look_at_row(batch, 0, made, shifts)
            graded = sum(piece.tokens for piece in pieces if piece.kind in ("graded", "wanted"))
            assert graded == int(batch.weights.sum())


def test_a_masked_token_is_shown_beside_what_is_wanted_there() -> None:
    made = tiny()
    ids = torch.tensor([made.encode("xyz")])
    tokens = ids.clone()
    tokens[0, 1] = made.encode("<turn>")[0]
    pieces = look_at_row(Batch(tokens, ids, torch.tensor([[0.0, 1.0, 0.0]])), 0, made, shifts=False)
    assert told(pieces) == [("seen", "x"), ("seen", "<turn>"), ("wanted", "y"), ("seen", "z")]
    kept = look_at_row(Batch(ids, ids, torch.tensor([[0.0, 1.0, 0.0]])), 0, made, shifts=False)
    assert told(kept) == [("seen", "x"), ("graded", "y"), ("seen", "z")]


def test_a_row_of_nothing_but_padding_is_padding() -> None:
    made = tiny()
    fill = torch.full((1, 5), made.eos[0])
    assert told(look_at_row(Batch(fill, fill, torch.zeros(1, 5)), 0, made)) == [("padding", "")]
