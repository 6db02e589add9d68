"""One pass over encoded examples: everything that the checks need to know of the tokens, counted.

Read in blocks, so that memory does not grow with the data; of very large data evenly spaced examples are read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32, Int64

from hanlin.data.batch import Marked
from hanlin.data.encoded import Encoded
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.gate.inputs import Inputs

MOST_TOKENS = 40_000_000
"""Tokens to read at most; more are sampled."""
BLOCK = 1 << 19
"""Tokens in a block."""

Indices = Int64[np.ndarray, " _"]
"""Numbers of examples."""

Place = tuple[int, int]
"""Which part, which example of it."""


class Block(NamedTuple):
    """Several examples at once; of a preference both ends, one after the other."""

    ids: Int32[np.ndarray, " N"]
    graded: Bool[np.ndarray, " N"]
    is_divisible: Bool[np.ndarray, " E"]
    """Plain texts, which go on in the next row where they are longer than one."""
    starts: Int64[np.ndarray, " E"]
    """Where each text begins."""
    places: list[Place]
    """Of each text."""


@dataclass(eq=False)
class Survey:
    """Counts over what was read. Each `first_…` is an example of its kind, to be shown."""

    share_read: float = 1.0
    """Of the examples."""
    read: int = 0
    """Examples."""
    tokens: int = 0
    graded: int = 0
    blank: int = 0
    """Examples without a graded token."""
    first_blank: Place | None = None
    answers: int = 0
    """Stretches of graded tokens."""
    cut: int = 0
    """Answers that do not end within a row."""
    lost: int = 0
    """Answers of which no token is within a row."""
    first_cut: Place | None = None
    long: int = 0
    """Examples longer than a row."""
    first_long: Place | None = None
    ends: dict[int, int] = field(default_factory=dict)
    """End token → how often it occurs."""
    graded_ends: dict[int, int] = field(default_factory=dict)
    """End token → how often it is graded."""
    masked_ends: dict[int, int] = field(default_factory=dict)
    """End token → how often it stands ungraded right after an answer."""
    first_masked: dict[int, Place] = field(default_factory=dict)
    graded_padding: int = 0
    """Graded tokens amid nothing but padding."""
    first_padding: Place | None = None
    greatest: int = -1
    """Id."""
    greatest_at: Place | None = None
    least: int = 0
    labels: list[tuple[float, ...]] = field(default_factory=list)
    label_places: list[Place] = field(default_factory=list)
    unlabelled: int = 0
    """Examples without labels."""


@dataclass(frozen=True, eq=False)
class Case:
    """What a check judges."""

    inputs: Inputs
    train: Survey
    validation: Survey


def chosen(parts: Sequence[Encoded], most: int) -> list[Indices]:
    """Which examples of each part to read, so that they have about `most` tokens: all, or every n-th."""
    tokens = sum(int(part.lengths.sum()) for part in parts)
    stride = max(1, -(-tokens // most))
    return [np.arange(0, len(part), stride) for part in parts]


def blocks(parts: Sequence[Encoded], which: Sequence[Indices]) -> Iterator[tuple[Block, list[Marked]]]:
    """The examples in blocks of about `BLOCK` tokens, and as they are."""
    texts: list[Marked] = []
    places: list[Place] = []
    whole: list[Marked] = []
    size = 0
    for part, indices in enumerate(which):
        for index in indices.tolist():
            example = parts[part][index]
            whole.append(example)
            for text in (example, example.rejected):
                if text is not None and len(text.ids):
                    texts.append(text)
                    places.append((part, index))
                    size += len(text.ids)
            if size >= BLOCK:
                yield _joined(texts, places), whole
                texts, places, whole, size = [], [], [], 0
    if whole:
        yield _joined(texts, places), whole


def _joined(texts: list[Marked], places: list[Place]) -> Block:
    sizes = np.array([len(text.ids) for text in texts], np.int64)
    starts = np.cumsum(sizes) - sizes
    ids = np.concatenate([text.ids for text in texts]) if texts else np.zeros(0, np.int32)
    marks = [np.ones(len(text.ids), bool) if text.graded is None else text.graded for text in texts]
    graded = np.concatenate(marks) if marks else np.zeros(0, bool)
    is_divisible = [text.graded is None and not (text.labels or text.rejected or text.facts) for text in texts]
    return Block(ids, graded, np.array(is_divisible, bool), starts, places)


def survey(parts: Sequence[Encoded], tokenizer: Tokenizer, ends: frozenset[int], most: int, shifts: bool) -> Survey:
    """Count.

    Args:
        parts: the examples of each source.
        tokenizer: for its padding.
        ends: tokens that end a turn or a text.
        most: tokens of an example that fit into a row.
        shifts: the first token of a text can not be graded.
    """
    found = Survey()
    which = chosen(parts, MOST_TOKENS)
    total = sum(map(len, parts))
    found.share_read = sum(map(len, which)) / total if total else 1.0
    at = ((part, int(index)) for part, indices in enumerate(which) for index in indices)
    for block, whole in blocks(parts, which):
        found.read += len(whole)
        for example in whole:
            place = next(at)
            if example.labels:
                found.labels.append(example.labels)
                found.label_places.append(place)
            else:
                found.unlabelled += 1
            if example.labels and example.facts and example.facts.get("cut"):  # see hanlin.train.last
                found.long += 1
                found.first_long = found.first_long or place
            if not len(example.ids):
                found.blank += 1
                found.first_blank = found.first_blank or place
        if len(block.ids):
            _count(found, block, ends, most, tokenizer.pad, shifts)
    return found


def _count(found: Survey, block: Block, ends: frozenset[int], most: int, pad: int | None, shifts: bool) -> None:
    ids, starts, places = block.ids, block.starts, block.places
    is_first = np.zeros(len(ids), bool)
    is_first[starts] = True
    graded = block.graded & ~is_first if shifts else block.graded
    sizes = np.diff(starts, append=len(ids))
    owner = np.repeat(np.arange(len(starts)), sizes)
    place = np.arange(len(ids)) - np.repeat(starts, sizes)
    found.tokens += len(ids)
    found.graded += int(graded.sum())

    blank = np.flatnonzero(np.add.reduceat(graded.astype(np.int64), starts) == 0)
    found.blank += len({places[text] for text in blank})
    found.first_blank = found.first_blank or (places[blank[0]] if len(blank) else None)
    long = np.flatnonzero((sizes > most) & ~block.is_divisible)
    found.long += len({places[text] for text in long})
    found.first_long = found.first_long or (places[long[0]] if len(long) else None)

    before = np.concatenate([[False], graded[:-1]]) & ~is_first
    after = np.concatenate([graded[1:], [False]]) & ~np.concatenate([is_first[1:], [True]])
    begins, finishes = np.flatnonzero(graded & ~before), np.flatnonzero(graded & ~after)
    cut = (place[finishes] >= most) & ~block.is_divisible[owner[finishes]]
    found.answers += len(begins)
    found.cut += int(cut.sum())
    found.lost += int(cut[place[begins] >= most].sum())
    if cut.any() and found.first_cut is None:
        found.first_cut = places[owner[finishes[cut][0]]]

    for end in ends:
        is_end = ids == end
        masked = np.flatnonzero(is_end & ~graded & before)
        for counts, number in (
            (found.ends, int(is_end.sum())),
            (found.graded_ends, int((is_end & graded).sum())),
            (found.masked_ends, len(masked)),
        ):
            counts[end] = counts.get(end, 0) + number
        if len(masked):
            found.first_masked.setdefault(end, places[owner[masked[0]]])
    if pad is not None:
        _count_padding(found, block, graded, place, owner, pad)
    greatest = int(ids.argmax())
    if ids[greatest] > found.greatest:
        found.greatest, found.greatest_at = int(ids[greatest]), places[owner[greatest]]
    found.least = min(found.least, int(ids.min()))


def _count_padding(
    found: Survey,
    block: Block,
    graded: Bool[np.ndarray, " N"],
    place: Int64[np.ndarray, " N"],
    owner: Int64[np.ndarray, " N"],
    pad: int,
) -> None:
    """Padding that is graded: a text may well end in the token that pads, but does not repeat it again and again."""
    is_pad = block.ids == pad
    run = is_pad.copy()
    for back in (1, 2):
        run[back:] &= is_pad[:-back]
    run &= graded & (place >= 2)
    found.graded_padding += int(run.sum())
    if run.any() and found.first_padding is None:
        found.first_padding = block.places[owner[run.argmax()]]
