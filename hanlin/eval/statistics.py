"""How sure a figure is, and whether two differ: items in; standard errors, intervals, p-values and words out.

Read more: Miller, "Adding error bars to evals", https://arxiv.org/abs/2411.00640 (clustered errors, paired differences,
power); Noreen 1989 (approximate randomisation), as sacreBLEU has it; Holm 1979; Benjamini and Hochberg 1995.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float

from hanlin.core.errors import ConfigError, DataError

Value = Callable[[Float[np.ndarray, "*D K"]], Float[np.ndarray, "*D"]]
"""Turns sums of an item's statistics into the figure."""
NORMAL = NormalDist()
AT_ONCE = 1 << 24
"""Numbers of a resampling matrix held at once."""


def clustered_stderr(values: Float[np.ndarray, " N"], clusters: Sequence[str] | None = None) -> float:
    """Standard error of a mean; where items share a cluster their errors add up within it (CR0, with G / (G - 1)).

    Without clusters it is the sample's standard deviation over √n.
    """
    n = len(values)
    if n < 2:
        return math.nan
    off = values - values.mean()
    groups = np.arange(n) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    count = int(groups.max()) + 1
    if count < 2:
        return math.nan
    sums = np.bincount(groups, off, count)
    return float(math.sqrt(count / (count - 1) * float((sums**2).sum())) / n)


def bootstrap_sums(
    rows: Float[np.ndarray, "N K"], clusters: Sequence[str] | None = None, draws: int = 1000, seed: int = 0
) -> Float[np.ndarray, "R K"]:
    """Sums over items drawn again with replacement, whole clusters together; the same seed draws the same."""
    if clusters is not None:
        place = np.unique(np.asarray(clusters), return_inverse=True)[1]
        grouped = np.zeros((int(place.max()) + 1, rows.shape[1]))
        np.add.at(grouped, place, rows)
        rows = grouped
    random, n = np.random.default_rng(seed), len(rows)
    step = max(1, AT_ONCE // n)
    sizes = [min(step, draws - begun) for begun in range(0, draws, step)]
    return np.concatenate([random.multinomial(n, np.full(n, 1 / n), size) @ rows for size in sizes])


def bootstrap_interval(
    rows: Float[np.ndarray, "N K"],
    value: Value,
    level: float = 0.95,
    clusters: Sequence[str] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile interval of a figure."""
    low, high = np.nanquantile(
        value(bootstrap_sums(rows, clusters, draws, seed)), [(1 - level) / 2, (1 + level) / 2]
    ).tolist()
    return low, high


@dataclass(frozen=True)
class Difference:
    """A held against B on the same items."""

    a: float
    b: float
    p: float
    """Chance of a difference this large, either way, if the two were equally good."""
    stderr: float
    """Of b - a."""
    n: int
    least: float
    """The true difference that a test of 5 % would find in eight of ten such exams."""

    @property
    def difference(self) -> float:
        """What B has more than A."""
        return self.b - self.a


def paired(
    a: Float[np.ndarray, "N K"],
    b: Float[np.ndarray, "M K"],
    value: Value,
    clusters: Sequence[str] | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Approximate randomisation: how often does swapping A and B at random, item by item, differ as much as they do?

    Whole clusters are swapped together. p = (more extreme + 1) / (draws + 1), two-sided.

    Raises:
        DataError: the two do not have the same items.
    """
    if a.shape != b.shape:
        raise DataError(f"A has {a.shape[0]} items and B {b.shape[0]}", "compare answers to the same items")
    place = np.arange(len(a)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    count = int(place.max()) + 1
    gap, whole = np.zeros((count, a.shape[1])), np.stack([a.sum(0), b.sum(0)])
    np.add.at(gap, place, b - a)
    values = value(whole)
    seen = abs(float(values[1] - values[0]))
    random, extreme = np.random.default_rng(seed), 0
    step = max(1, AT_ONCE // count)
    for begun in range(0, draws, step):
        moved = random.integers(0, 2, (min(step, draws - begun), count)) @ gap
        apart = np.abs(value(whole[1] - moved) - value(whole[0] + moved))
        extreme += int((apart >= seen - 1e-12).sum())
    both = np.concatenate([a, b], 1)
    drawn = bootstrap_sums(both, None if clusters is None else clusters, 1000, seed)
    apart = value(drawn[:, a.shape[1] :]) - value(drawn[:, : a.shape[1]])
    spread = float(np.nanstd(apart, ddof=1)) if len(a) > 1 else math.nan
    p = (extreme + 1) / (draws + 1)
    return Difference(float(values[0]), float(values[1]), p, spread, len(a), detectable(spread))


def mcnemar(a: Bool[np.ndarray, " N"], b: Bool[np.ndarray, " N"]) -> float:
    """Exact two-sided p of right and wrong answers to the same items: are those that only one has right even?"""
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    return sign_test(only_a, only_b)


def sign_test(wins: int, losses: int) -> float:
    """Exact two-sided p of so many wins and losses if each were as likely."""
    n, few = wins + losses, min(wins, losses)
    if wins == losses:
        return 1.0
    tail = sum(math.comb(n, k) for k in range(few + 1))
    return min(1.0, tail / 2 ** (n - 1)) if n < 1000 else min(1.0, math.exp(math.log(tail) - (n - 1) * math.log(2)))


def corrected(p: Sequence[float], method: str = "holm") -> list[float]:
    """p-values of several tests as they stand together: the family-wise error (Holm), or the false discoveries (BH).

    Raises:
        ConfigError: the method is none of the two.
    """
    n, values = len(p), np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    ranks = np.arange(n)
    if method == "holm":
        stepped = np.maximum.accumulate(values[order] * (n - ranks))
    elif method == "bh":
        stepped = np.minimum.accumulate((values[order] * n / (ranks + 1))[::-1])[::-1]
    else:
        raise ConfigError(f"correction = {method!r} is unknown", 'give "holm" or "bh"')
    found = np.empty(n)
    found[order] = np.minimum(stepped, 1)
    return found.tolist()


def detectable(stderr: float, level: float = 0.05, power: float = 0.8) -> float:
    """The least true difference that a two-sided test finds with that power, given its standard error."""
    return (NORMAL.inv_cdf(1 - level / 2) + NORMAL.inv_cdf(power)) * stderr


def verdict(found: Difference, names: tuple[str, str], higher_is_better: bool = True, level: float = 0.05) -> str:
    """The comparison in one sentence; what is not significant is said so."""
    gap = found.difference if higher_is_better else -found.difference
    if found.n < 2:
        return f"one item says nothing about {names[0]} and {names[1]}"
    if found.p >= level or gap == 0:
        return (
            f"not significant (p = {found.p:.3g}, {found.n:,} items): these cannot tell {names[0]} from {names[1]}; "
            f"a difference of {found.least:.3g} would have been found in 8 of 10 such exams"
        )
    better, worse = (names[1], names[0]) if gap > 0 else names
    return f"{better} is better than {worse} by {abs(gap):.3g} (p = {found.p:.3g}, {found.n:,} items)"


def pooled(scores: Sequence[tuple[float, float, int]]) -> tuple[float, float]:
    """Value and standard error of several groups (value, stderr, n) together, each counting with its items.

    By lm-eval's formula, which pools variances within the groups: differences between groups are left out. nan where a
    group has one item only.
    """
    total = sum(n for _, _, n in scores)
    value = sum(value * n for value, _, n in scores) / total
    if total <= len(scores):
        return value, math.nan
    variance = sum((n - 1) * stderr**2 * n for _, stderr, n in scores) / (total - len(scores))
    return value, math.sqrt(variance / total)
