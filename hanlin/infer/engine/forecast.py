"""How long a prompt will take to be read: steps so far in, seconds out.

A row costs its products, and a little more for each position it sees: two costs, found by least squares over the
steps there were, the latest ones counting most, since a machine has other work too.
"""

import math

KEPT = 0.95
"""Weight that a step keeps with each one after it."""
ENOUGH = 64
"""Rows that must have been read before anything is foretold."""


class Forecast:
    """Of one engine."""

    def __init__(self) -> None:
        self._rows = 0
        self._sums = [0.0] * 5
        """Of rows², rows × seen, seen², rows × seconds, seen × seconds."""

    def take(self, rows: int, seen: int, seconds: float) -> None:
        """A step of so many rows, which together saw so many positions, took this long."""
        self._rows += rows
        new = (rows * rows, rows * seen, seen * seen, rows * seconds, seen * seconds)
        self._sums = [KEPT * old + one for old, one in zip(self._sums, new, strict=True)]

    def seconds(self, count: int, first: int = 0) -> float | None:
        """For `count` tokens of a prompt behind `first` that are known; None while too little has been seen."""
        if self._rows < ENOUGH:
            return None
        row, position = self._costs()
        return row * count + position * seen_by(count, first)

    def _costs(self) -> tuple[float, float]:
        """Seconds of a row, and of a position that a row sees; neither is below nothing."""
        rows2, both, seen2, rows_seconds, seen_seconds = self._sums
        determinant = rows2 * seen2 - both * both
        if determinant > 1e-9 * rows2 * seen2:
            row = (rows_seconds * seen2 - seen_seconds * both) / determinant
            position = (seen_seconds * rows2 - rows_seconds * both) / determinant
            if row >= 0 and position >= 0:
                return row, position
        return rows_seconds / rows2, 0.0


def seen_by(count: int, first: int) -> int:
    """Positions that `count` tokens behind `first` others see together, each itself included."""
    return count * first + math.comb(count + 1, 2)
