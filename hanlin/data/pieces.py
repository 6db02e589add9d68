"""One epoch of one source: encoded examples in, shuffled pieces of at most a row out.

A plain text longer than a row is cut into pieces of a row's width, from an offset that is drawn anew each epoch, so
that every token is graded once an epoch and stands at another place each time. Other examples lose their end.
All is a function of (seed, source, epoch), drawn from the generator's raw bits, which no version of numpy changes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt64

from hanlin.data.batch import Marked
from hanlin.data.encoded import Encoded, starts


def draws(count: int, *key: int) -> UInt64[np.ndarray, " count"]:
    """Random whole numbers that depend on the key alone."""
    return np.asarray(np.random.PCG64(np.random.SeedSequence(key)).random_raw(count), np.uint64)


def shuffled(count: int, *key: int) -> Int64[np.ndarray, " count"]:
    """A permutation that depends on the key alone."""
    return np.argsort(draws(count, *key), kind="stable")


@dataclass(frozen=True, eq=False)
class Epoch:
    """Pieces in the order they are drawn."""

    examples: Int64[np.ndarray, " P"]
    """Which example each is of; for wrapped texts 0."""
    begins: Int64[np.ndarray, " P"]
    """Its first position there; for wrapped texts in the row of all texts."""
    widths: Int64[np.ndarray, " P"]
    """Its positions."""
    ends: Int64[np.ndarray, " P"]
    """Positions of all pieces up to it."""
    order: Int64[np.ndarray, " n"] | None = None
    """Wrapped texts: the order they stand in."""
    order_starts: Int64[np.ndarray, " n1"] | None = None
    """Wrapped texts: their first tokens in the row of all texts."""


def usable(part: Encoded, width: int, less: int) -> Int64[np.ndarray, " n"]:
    """Positions that each example takes in one epoch: all of a text, `width` at most of another; 0 if it has none."""
    positions = np.maximum(part.lengths - less, 0)
    return np.where(part.is_divisible, positions, np.minimum(positions, width))


def cut(positions: Int64[np.ndarray, " n"], width: int, *key: int) -> tuple[Int64[np.ndarray, " P"], ...]:
    """Pieces of examples of so many positions each: (example, first position, positions), in order.

    An example wider than `width` is cut from an offset drawn with the key.
    """
    offsets = np.where(positions > width, draws(len(positions), *key) % np.uint64(width), 0).astype(np.int64)
    has_head = (offsets > 0).astype(np.int64)
    counts = np.where(positions > 0, has_head + -(-(positions - offsets) // width), 0)
    examples = np.repeat(np.arange(len(positions)), counts)
    number = np.arange(len(examples)) - starts(counts)[examples] - has_head[examples]
    begins = np.maximum(offsets[examples] + number * width, 0)
    stops = np.minimum(offsets[examples] + (number + 1) * width, positions[examples])
    return examples, begins, stops - begins


def epoch(part: Encoded, width: int, less: int, is_wrapped: bool, *key: int) -> Epoch:
    """One epoch. `less`: tokens beyond a piece's positions, 1 where targets shift. `key`: seed, source, epoch."""
    order = order_starts = None
    if is_wrapped:
        order = shuffled(len(part), *key, 0)
        order_starts = starts(part.lengths[order])
        positions = np.maximum(order_starts[-1:] - less, 0)
    else:
        positions = usable(part, width, less)
    examples, begins, widths = cut(positions, width, *key, 1)
    places = shuffled(len(examples), *key, 2)
    widths = widths[places]
    return Epoch(examples[places], begins[places], widths, np.cumsum(widths), order, order_starts)


def taken(part: Encoded, of: Epoch, number: int, width: int, less: int) -> Marked:
    """A piece as tokens: of one example, or of all that a wrapped row touches. `width`: most positions of a row."""
    begin = int(of.begins[number])
    stop = begin + int(of.widths[number]) + less
    if of.order is None or of.order_starts is None:
        return _ended(part, int(of.examples[number]), begin, stop, width + less)
    first = int(np.searchsorted(of.order_starts, begin, "right")) - 1
    ids, graded = [], []
    while begin < stop:
        start, end = int(of.order_starts[first]), int(of.order_starts[first + 1])
        mark = part.piece(int(of.order[first]), begin - start, min(stop, end) - start)
        mask = np.ones(len(mark.ids), np.bool_) if mark.graded is None else mark.graded.copy()
        mask[:1] &= begin > start or less == 0  # what a text begins with follows from nothing
        ids.append(mark.ids)
        graded.append(mask)
        begin, first = max(begin, min(stop, end)), first + 1
    return Marked(np.concatenate(ids), np.concatenate(graded))


def _ended(part: Encoded, example: int, begin: int, stop: int, most: int) -> Marked:
    """A stretch of an example, its worse end of `most` tokens at most.

    A labelled one that is cut keeps its last token, where its class is read.
    """
    mark = part.piece(example, begin, stop, most)
    whole = int(part.lengths[example])
    if not mark.labels or stop >= whole:
        return mark
    last = part.piece(example, whole - 1, whole)
    graded = None if mark.graded is None or last.graded is None else _joined(mark.graded, last.graded)
    return Marked(_joined(mark.ids, last.ids), graded, mark.labels, mark.rejected, mark.facts)


def _joined(most: np.ndarray, last: np.ndarray) -> np.ndarray:
    return np.concatenate([most[:-1], last])
