"""A row of training data in, the same row as pieces of text out: what the model reads, and what it is graded on.

Pieces join up to the text of the row. A character whose bytes lie in two pieces stands whole in the later one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal, NamedTuple

import numpy as np

from hanlin.data.batch import Batch, Marked
from hanlin.text.tokenizer import Tokenizer

Kind = Literal["seen", "graded", "wanted", "cut", "padding", "border"]
"""seen: read, not graded. graded: to be predicted, and read. wanted: to be predicted where something else is read.
cut: beyond the context. padding: fills the row. border: nothing is seen across it."""


@dataclass(frozen=True)
class Piece:
    """A stretch of tokens of one kind."""

    text: str
    """What they spell; of a border, which text of the row begins."""
    kind: Kind
    is_special: bool = False
    """A mark for the model, such as an end of turn."""
    tokens: int = 1
    """How many."""


class Token(NamedTuple):
    """One place of a row."""

    id: int
    kind: Kind


def look(marked: Marked, tokenizer: Tokenizer, most: int | None = None) -> list[Piece]:
    """An example as it was marked.

    Args:
        marked: the example; of a preference the better end.
        tokenizer: the one it was made with.
        most: tokens that fit into a row, the others are cut; None for all.
    """
    graded = np.ones(len(marked.ids), bool) if marked.graded is None else marked.graded
    most = len(marked.ids) if most is None else most
    tokens = [
        Token(int(token), "cut" if place >= most else "graded" if place and graded[place] else "seen")
        for place, token in enumerate(marked.ids)
    ]
    return _spelled(tokens, tokenizer)


def look_at_row(batch: Batch, row: int, tokenizer: Tokenizer, shifts: bool = True) -> list[Piece]:
    """A row as the model gets it, with a border before each text of it.

    Args:
        batch: the better ends, if it holds preferences.
        row: which.
        tokenizer: the one it was made with.
        shifts: the objective's: a position's target is the token after it, else the one at it.
    """
    tokens, targets = batch.tokens[row].tolist(), batch.targets[row].tolist()
    is_graded = (batch.weights[row] != 0).tolist()
    documents = [0] * len(tokens) if batch.documents is None else batch.documents[row].tolist()
    end = len(tokens) - _padding(tokens, targets, is_graded, tokenizer)
    has_several = len(set(documents[:end])) > 1
    pieces: list[Piece] = []
    for number, (_, places) in enumerate(groupby(range(end), key=documents.__getitem__), 1):
        if has_several:
            pieces.append(Piece(str(number), "border", tokens=0))
        part = slice((where := list(places))[0], where[-1] + 1)
        told = (_shifted if shifts else _unshifted)(tokens[part], targets[part], is_graded[part])
        pieces += _spelled(list(told), tokenizer)
    if end < len(tokens):
        pieces.append(Piece("", "padding", tokens=len(tokens) - end))
    return pieces


def only_read(pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces of a text that is judged as a whole, or opens an answer: none of its tokens is graded."""
    return [replace(piece, kind="seen") if piece.kind == "graded" else piece for piece in pieces]


def _shifted(tokens: list[int], targets: list[int], is_graded: list[bool]) -> Iterator[Token]:
    """The tokens of one text of a row, the last of which is only a target."""
    is_wanted = False
    for place, token in enumerate(tokens):
        is_next = place + 1 < len(tokens) and targets[place] == tokens[place + 1]
        yield Token(token, "graded" if is_wanted else "seen")
        is_wanted = is_graded[place] and is_next
        if is_graded[place] and not is_next:
            yield Token(targets[place], "graded" if place + 1 == len(tokens) else "wanted")


def _unshifted(tokens: list[int], targets: list[int], is_graded: list[bool]) -> Iterator[Token]:
    for token, target, is_target in zip(tokens, targets, is_graded, strict=True):
        yield Token(token, "graded" if is_target and token == target else "seen")
        if is_target and token != target:
            yield Token(target, "wanted")


def _padding(tokens: list[int], targets: list[int], is_graded: list[bool], tokenizer: Tokenizer) -> int:
    """How many places at the end only fill the row: the same token read and, if it were graded, expected."""
    fill = tokens[-1] if tokens else 0
    if fill not in {tokenizer.pad, *tokenizer.eos[:1], 0}:
        return 0
    count = 0
    while count < len(tokens) and tokens[-1 - count] == targets[-1 - count] == fill and not is_graded[-1 - count]:
        count += 1
    return count


def _spelled(tokens: list[Token], tokenizer: Tokenizer) -> list[Piece]:
    """Tokens of one text as pieces; wanted ones are spelled apart, for they are no part of what is read."""
    pieces: list[Piece] = []
    stream = tokenizer.stream(skip_special=False)
    for (kind, is_special), group in groupby(tokens, key=lambda token: (token.kind, tokenizer.is_special(token.id))):
        ids = [token.id for token in group if token.id < tokenizer.vocab_size]
        if kind == "wanted":
            pieces.append(Piece(tokenizer.decode(ids), kind, is_special, len(ids)))
            continue
        if is_special:
            _end(pieces, stream.finish())
        pieces.append(Piece(stream.push(*ids), kind, is_special, len(ids)))
    _end(pieces, stream.finish())
    return [piece for piece in pieces if piece.text or piece.tokens]


def _end(pieces: list[Piece], held: str) -> None:
    """Put what never became a whole character to the last piece."""
    if held:
        last = pieces.pop()
        pieces.append(Piece(last.text + held, last.kind, last.is_special, last.tokens))
