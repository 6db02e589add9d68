"""A figure that can be held against another: its value, how sure it is, over how many items, and how it was made.

The signature names everything that changes the value, in the manner of sacreBLEU (https://arxiv.org/abs/1804.08771):
two figures with different signatures are no pair, and comparing them is refused.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

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
    lowest: float = -math.inf
    """No value of this metric is less."""
    highest: float = math.inf
    is_mean: bool = False
    """It is the mean of its items."""

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """A confidence interval that keeps to the metric's range.

        Of a mean of items between 0 and 1 it is Wilson's, for as many independent right and wrong answers as would have
        this standard error: so none right of twenty is not said to be sure. Of anything else the normal one, cut off.
        """
        reach = NormalDist().inv_cdf(0.5 + level / 2)
        if self.is_mean and (self.lowest, self.highest) == (0, 1) and not math.isnan(self.stderr):
            return self._wilson(reach)
        low, high = self.value - reach * self.stderr, self.value + reach * self.stderr
        return max(low, self.lowest), min(high, self.highest)

    def _wilson(self, reach: float) -> tuple[float, float]:
        """Read more: Wilson 1927; Brown, Cai and DasGupta 2001."""
        share = min(1.0, max(0.0, self.value))
        spread = share * (1 - share)
        n = spread / self.stderr**2 if self.stderr and spread else float(self.n)
        middle = (share + reach**2 / (2 * n)) / (1 + reach**2 / n)
        half = reach / (1 + reach**2 / n) * math.sqrt(spread / n + reach**2 / (4 * n**2))
        return max(0.0, middle - half), min(1.0, middle + half)

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
