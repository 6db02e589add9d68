"""A figure that can be held against another: its value, how sure it is, over how many items, and how it was made.

The signature names everything that changes the value, in the manner of sacreBLEU (https://arxiv.org/abs/1804.08771):
two figures with different signatures are no pair, and comparing them is refused.
"""

import math
from dataclasses import dataclass

from hanlin.core.errors import RefusedError


@dataclass(frozen=True)
class Score:
    """One metric on one task (or one of its groups)."""

    metric: str
    """The metric's name."""
    value: float
    """nan where there is nothing to measure."""
    stderr: float
    """Standard error of the value; nan where one item or none was asked."""
    n: int
    """Items."""
    signature: str
    """`name|setting:value|…|version`."""
    higher_is_better: bool = True

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Normal confidence interval, cut to nothing: a bound may lie outside the metric's range."""
        from statistics import NormalDist

        reach = NormalDist().inv_cdf(0.5 + level / 2) * self.stderr
        return self.value - reach, self.value + reach

    def __str__(self) -> str:
        spread = "" if math.isnan(self.stderr) else f" ± {self.stderr:.4f}"
        return f"{self.metric} {self.value:.4f}{spread} (n={self.n}) {self.signature}"


def check_comparable(one: Score, other: Score) -> None:
    """Two figures may be held against each other.

    Raises:
        RefusedError: their signatures differ; the first part that does is named.
    """
    if one.signature == other.signature:
        return
    first, second = one.signature.split("|"), other.signature.split("|")
    pairs = zip(first + [""] * len(second), second + [""] * len(first), strict=True)
    mine, theirs = next((a, b) for a, b in pairs if a != b)
    what = f"{one.signature} and {other.signature} differ: {mine or 'nothing'} against {theirs or 'nothing'}"
    raise RefusedError(what, "measure both with the same settings")
