"""Encoded examples in, batches out, without end; where a run stands in them is a `Cursor` of a few whole numbers.

Rows come in windows of about a thousand. A window draws pieces from each source's current epoch, by weight, packs and
shuffles them. All of it is a function of the seed and the cursor, so any row is found again without reading those
before it, whatever the number of processes and of rows to a batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from hanlin.core.errors import ConfigError, DataError
from hanlin.core.settings import Settings
from hanlin.data.batch import Batch, Marked, collate
from hanlin.data.encoded import Encoded
from hanlin.data.pack import best_fit, of_like_length
from hanlin.data.pieces import Epoch, epoch, shuffled, taken, usable

WINDOW_ROWS = 1024
"""Rows' worth of tokens that are packed together: the last row of a window may be half empty, 1 in 2000."""
LEAST_ROWS = 64
"""A window of several sources has at least so many, even if a small source comes round within it."""
ALIKE_ROWS = 16
"""Unpacked rows of like length that stay together."""
MOST_WINDOWS = 64
"""How many are planned to report what an epoch is like; of a bigger corpus the rest is like them."""

Packing = Literal["auto", "best_fit", "wrapped", "off"]


class Place(Settings):
    """How far a source is read."""

    epoch: int = Field(default=0, ge=0)
    piece: int = Field(default=0, ge=0)
    """Pieces of this epoch that are drawn already."""
    owed: int = 0
    """Positions by which it lags behind its share."""


class Cursor(Settings):
    """Where a run stands in its data; `Cursor()` is the start."""

    window: int = Field(default=0, ge=0)
    row: int = Field(default=0, ge=0)
    """Rows of the window that were given."""
    places: tuple[Place, ...] = ()
    """Of each source, before this window."""


class Ref(NamedTuple):
    """A piece: which source, which of its epochs, which number there."""

    source: int
    epoch: int
    number: int


class Window(NamedTuple):
    """Rows, in order, and how far the sources are read after them."""

    rows: list[list[Ref]]
    after: tuple[Place, ...]


@dataclass(frozen=True)
class StreamFacts:
    """What one time through the data is like."""

    examples: int
    tokens: int
    """Of all examples, as encoded."""
    graded: int
    """Of these, graded."""
    rows: int
    """About; exact for one source of at most 64 windows."""
    used_share: float
    """Positions of the rows that hold a token, as batches have them."""
    cut: int
    """Examples that lose their end because they are longer than a row."""
    blind: int
    """Of these, those that lose everything they were graded on."""
    empty: int
    """Examples too short to give a single position."""
    longest: int
    """Tokens of the longest."""


class Stream:
    """Endless batches of several sources."""

    def __init__(
        self,
        parts: Sequence[Encoded],
        weights: Sequence[float],
        *,
        context: int,
        rows: int,
        packing: Packing,
        seed: int,
        shifts: bool,
        pad: int,
    ) -> None:
        """`context` positions to a row, `rows` rows to a batch; `pad` is the token that fills rows up.

        Raises:
            DataError: a source has no example that gives a position.
            ConfigError: what belongs to whole examples, such as labels, is to be packed.
        """
        assert len(parts) == len(weights) > 0
        alone = any(part.stands_alone for part in parts)
        if alone and packing in ("best_fit", "wrapped"):
            what = f'data.packing = "{packing}": examples with labels, pairs or facts need a row of their own'
            raise ConfigError(what, 'data.packing = "off", or "auto"')
        self.packing = ("off" if alone else "best_fit") if packing == "auto" else packing
        self.parts, self.context, self.rows, self.seed = tuple(parts), context, rows, seed
        self.shifts, self.pad, self.less = shifts, pad, 1 if shifts else 0
        self.totals = [self._positions(part) for part in parts]
        for part, total in zip(parts, self.totals, strict=True):
            if total == 0:
                name = ", ".join(part.file_names[:1]) or "the source"
                raise DataError(f"{name}: no example of it has a token to learn", "give it some text, or leave it out")
        self.shares = [weight / sum(weights) for weight in weights]
        self._epochs: dict[tuple[int, int], Epoch] = {}

    def _positions(self, part: Encoded) -> int:
        if self.packing == "wrapped":
            return max(int(part.lengths.sum()) - self.less, 0)
        return int(usable(part, self.context, self.less).sum())

    def batches(self, cursor: Cursor | None = None) -> Iterator[tuple[Batch, Cursor]]:
        """Batches from the cursor on, each with the cursor after it; they never end."""
        rows = self._rows(cursor or Cursor())
        while True:
            chosen: list[list[Marked]] = []
            after = None
            for _ in range(self.rows):
                row, after = next(rows)
                chosen.append([self.marked(ref) for ref in row])
            assert after is not None
            width = None if self.packing == "off" else self.context
            batch = collate(chosen, shifts=self.shifts, pad=self.pad, width=width)
            number, place, places = after
            yield batch, Cursor(window=number, row=place, places=places)

    def _rows(self, cursor: Cursor) -> Iterator[tuple[list[Ref], tuple[int, int, tuple[Place, ...]]]]:
        """Rows from the cursor on, each with where it leaves us."""
        number, row = cursor.window, cursor.row
        places = cursor.places or tuple(Place() for _ in self.parts)
        if len(places) != len(self.parts):
            what = f"the cursor is in {len(places)} sources, the run has {len(self.parts)}"
            raise DataError(what, "go on with the sources the run began with")
        while True:
            window = self.window(number, places)
            for at in range(row, len(window.rows)):
                is_last = at + 1 == len(window.rows)
                yield window.rows[at], (number + 1, 0, window.after) if is_last else (number, at + 1, places)
            number, row, places = number + 1, 0, window.after

    def marked(self, ref: Ref) -> Marked:
        """The tokens of a piece."""
        return taken(self.parts[ref.source], self.epoch(ref.source, ref.epoch), ref.number, self.context, self.less)

    def epoch(self, source: int, number: int) -> Epoch:
        """The pieces of a source's epoch; the current one and its neighbours are kept."""
        if (source, number) not in self._epochs:
            self._epochs = {
                key: value for key, value in self._epochs.items() if key[0] != source or key[1] >= number - 1
            }
            self._epochs[source, number] = epoch(
                self.parts[source], self.context, self.less, self.packing == "wrapped", self.seed, source, number
            )
        return self._epochs[source, number]

    def window(self, number: int, places: tuple[Place, ...]) -> Window:
        """The rows of a window that begins at these places."""
        refs: list[Ref] = []
        after = []
        for source, place in enumerate(places):
            drawn, then = self._drawn(source, place)
            refs += drawn
            after.append(then)
        widths = [int(self.epoch(ref.source, ref.epoch).widths[ref.number]) for ref in refs]
        order = shuffled(len(refs), self.seed, number, 3).tolist()
        if self.packing == "off":
            rows = of_like_length(widths, order, ALIKE_ROWS)
        else:
            rows = best_fit(widths, self.context) if self.packing == "best_fit" else [[at] for at in range(len(refs))]
            rows = [rows[at] for at in shuffled(len(rows), self.seed, number, 4).tolist()]
        return Window([[refs[at] for at in row] for row in rows], tuple(after))

    def _quota(self, source: int) -> int:
        """Positions that a window takes from a source."""
        most = WINDOW_ROWS * self.context
        if len(self.parts) == 1:
            return -(-self.totals[0] // -(-self.totals[0] // most))
        once = min(total / share for total, share in zip(self.totals, self.shares, strict=True))
        return max(1, round(max(min(most, once), LEAST_ROWS * self.context) * self.shares[source]))

    def _drawn(self, source: int, place: Place) -> tuple[list[Ref], Place]:
        """The next pieces of a source, for its share of a window. An only source ends its windows with its epochs."""
        quota, is_only = self._quota(source), len(self.parts) == 1
        need = quota + place.owed
        refs: list[Ref] = []
        number, piece = place.epoch, place.piece
        while need > 0:
            ends = self.epoch(source, number).ends
            before = int(ends[piece - 1]) if piece else 0
            stop = min(int(np.searchsorted(ends, before + need)) + 1, len(ends))
            if is_only and int(ends[-1] - ends[stop - 1]) < quota / 2:
                stop = len(ends)
            refs += [Ref(source, number, at) for at in range(piece, stop)]
            need -= int(ends[stop - 1]) - before
            piece = stop
            if stop == len(ends):
                number, piece = number + 1, 0
                if is_only:
                    break
        return refs, Place(epoch=number, piece=piece, owed=0 if is_only else need)

    def facts(self) -> StreamFacts:
        """What one time through the data is like, by planning it."""
        lengths = np.concatenate([part.lengths for part in self.parts])
        divisible = np.concatenate([part.is_divisible for part in self.parts])
        is_cut = (lengths - self.less > self.context) & ~divisible & (self.packing != "wrapped")
        rows, used, room = self._planned()
        total = sum(self.totals)
        return StreamFacts(
            examples=len(lengths),
            tokens=int(lengths.sum()),
            graded=int(sum(part.graded_counts.sum() for part in self.parts)),
            rows=max(1, round(rows * total / used)),
            used_share=used / room,
            cut=int(is_cut.sum()),
            blind=sum(self._blind(part) for part in self.parts),
            empty=int((lengths <= self.less).sum()) if self.packing != "wrapped" else 0,
            longest=int(lengths.max()),
        )

    def _planned(self) -> tuple[int, int, int]:
        """Rows, positions that hold a token, and positions, of one time through, or of the first windows of it."""
        rows = used = room = 0
        places = tuple(Place() for _ in self.parts)
        for number in range(MOST_WINDOWS):
            window = self.window(number, places)
            widths = [
                sum(int(self.epoch(ref.source, ref.epoch).widths[ref.number]) for ref in row) for row in window.rows
            ]
            rows, used = rows + len(widths), used + sum(widths)
            for start in range(0, len(widths), self.rows):
                batch = widths[start : start + self.rows]
                room += len(batch) * (max(batch) if self.packing == "off" else self.context)
            places = window.after
            if used >= sum(self.totals):
                break
        return rows, used, room

    def _blind(self, part: Encoded) -> int:
        """Examples that are cut and keep nothing they are graded on."""
        if self.packing == "wrapped":
            return 0
        is_cut = (part.lengths - self.less > self.context) & ~part.is_divisible & (part.graded_counts > 0)
        keeps = self.context + self.less
        return sum(
            not _graded(part.piece(int(at), 0, keeps)) for at in np.flatnonzero(is_cut) if not part[int(at)].labels
        )


def _graded(mark: Marked) -> bool:
    return mark.graded is None or bool(mark.graded.any())
