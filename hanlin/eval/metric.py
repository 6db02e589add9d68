"""What a metric is, and how it becomes a score: samples and replies in, `Score` out.

Every metric of this house is a function of *summed statistics*: a row of numbers for each item, and a value computed
from the column sums. BLEU's rows are its n-gram counts, accuracy's are (right, 1), calibration's are the counts of
its bins. So one piece of code gives each of them a standard error, a bootstrap and a paired test (see
`statistics.py`).
"""

import math
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from hanlin.core.errors import ConfigError, DataError, shown
from hanlin.core.plugins import find
from hanlin.core.settings import Settings, parse
from hanlin.eval.sample import Reply, Sample
from hanlin.eval.score import Score
from hanlin.eval.statistics import bootstrap_sums, clustered_stderr

FOLDER = "hanlin.eval.metrics"
DRAWS = 1000


@runtime_checkable
class Metric(Protocol):
    """What the class `Metric` of each file in `eval/metrics` answers to; its fields are the metric's settings."""

    RANGE: ClassVar[tuple[float, float]]
    """Lowest and highest value there can be."""
    IS_HIGHER_BETTER: ClassVar[bool]
    VERSION: ClassVar[str]
    """Changes when the same items give another value; a library's name and version where it computes."""
    IDENTITY: ClassVar[tuple[Sample, Reply, float] | None]
    """An item answered as well as can be, and the value of a set of such."""

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> Float[np.ndarray, "N K"]:
        """A row for each item; an empty reply gets one as well.

        Raises:
            DataError: the samples or replies lack what this metric is about.
        """
        ...

    def value(self, sums: Float[np.ndarray, "*D K"]) -> Float[np.ndarray, "*D"]:
        """The figure that sums of rows stand for; nan where there is nothing to measure."""
        ...


def metric(use: str, **settings: Any) -> Metric:
    """The metric of that name, or of a .py file.

    Raises:
        ConfigError: there is none, or a setting is wrong.
    """
    kind = getattr(find(FOLDER, use), "Metric", None)
    if not (isinstance(kind, type) and issubclass(kind, Settings)):
        raise ConfigError(f"{use} defines no class Metric", "see hanlin/eval/metrics/accuracy.py for one")
    return parse(kind, settings, use)  # pyright: ignore[reportReturnType]


def name_of(one: Metric) -> str:
    """The file's name, which is the metric's."""
    return type(one).__module__.rpartition(".")[2]


def signature(one: Metric, samples: Sequence[Sample] = ()) -> str:
    """`name|references|setting:value|…|version`: equal when two values may be compared."""
    assert isinstance(one, Settings)
    fields = [f"{key}:{_plain(value)}" for key, value in one.model_dump(mode="json").items()]
    counts = {len(sample.references) for sample in samples} - {0}
    if counts:
        fields.insert(0, f"references:{counts.pop() if len(counts) == 1 else 'vary'}")
    return "|".join([name_of(one), *fields, f"version:{one.VERSION}"])


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | dict):
        return ",".join(map(str, value)) or "none"
    return str(value).replace("|", "¦")


def measure(one: Metric, samples: Sequence[Sample], replies: Sequence[Reply], *, seed: int = 0) -> Score:
    """The score of one metric, with its standard error.

    The error of a mean is that of its items, by cluster where items share one; that of any other figure comes from a
    bootstrap over items, or over clusters.

    Raises:
        DataError: there are no items, not as many replies, or they lack what the metric is about.
    """
    return scored(one, rows_of(one, samples, replies), samples, seed)


def scored(one: Metric, rows: Float[np.ndarray, "N K"], samples: Sequence[Sample], seed: int = 0) -> Score:
    """`measure` where the statistics are known already."""
    clusters = [sample.cluster or f"\0{place}" for place, sample in enumerate(samples)]
    return Score(
        metric=name_of(one),
        value=float(one.value(rows.sum(0))),
        stderr=stderr(one, rows, clusters, seed),
        n=len(samples),
        signature=signature(one, samples),
        higher_is_better=one.IS_HIGHER_BETTER,
        lowest=float(one.RANGE[0]),
        highest=float(one.RANGE[1]),
        is_mean=bool(getattr(one, "IS_MEAN", False)),
    )


def rows_of(one: Metric, samples: Sequence[Sample], replies: Sequence[Reply]) -> Float[np.ndarray, "N K"]:
    """The metric's statistics, checked. Raises as `measure`."""
    if not samples:
        raise DataError(f"{name_of(one)}: there are no items", "give at least one")
    if len(samples) != len(replies):
        raise DataError(f"{len(samples)} samples have {len(replies)} replies", "give one reply for each sample")
    rows = np.asarray(one.statistics(samples, replies), dtype=np.float64)
    assert rows.ndim == 2 and len(rows) == len(samples), f"{name_of(one)}: {rows.shape} for {len(samples)} items"
    return rows


def stderr(one: Metric, rows: Float[np.ndarray, "N K"], clusters: Sequence[str], seed: int = 0) -> float:
    """Standard error of the metric's value over these items; nan of fewer than two clusters."""
    if len(set(clusters)) < 2:
        return math.nan
    if getattr(one, "IS_MEAN", False):
        return clustered_stderr(rows[:, 0], clusters)
    values = one.value(bootstrap_sums(rows, clusters, DRAWS, seed))
    values = values[~np.isnan(values)]
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


def mean_value(sums: Float[np.ndarray, "*D K"]) -> Float[np.ndarray, "*D"]:
    """`value` of a metric that is the mean of its items: rows are (item's value, 1). Such a metric sets `IS_MEAN`."""
    return ratio(sums[..., 0], sums[..., 1])


def mean_rows(values: Sequence[float]) -> Float[np.ndarray, "N 2"]:
    """`statistics` of such a metric."""
    return np.stack([np.asarray(values, dtype=np.float64), np.ones(len(values))], 1)


def ratio(above: Any, below: Any) -> Any:
    """Division that gives nan where there is nothing below."""
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, np.nan), where=below != 0)


def each_row(value: Callable[[list[float]], float], sums: Float[np.ndarray, "*D K"]) -> Float[np.ndarray, "*D"]:
    """`value` for a library that takes one row of sums at a time."""
    flat = sums.reshape(-1, sums.shape[-1])
    return np.array([value(row.tolist()) for row in flat], dtype=np.float64).reshape(sums.shape[:-1])


def need(samples: Sequence[Sample], field: str, what: str) -> None:
    """Every sample has something in a field.

    Raises:
        DataError: one has nothing there; the first is named.
    """
    for place, sample in enumerate(samples):
        if not getattr(sample, field):
            name = sample.id or f"number {place + 1}"
            raise DataError(
                f"item {shown(name)} has no {field}: {what} cannot judge it", "give it one, or leave it out"
            )


def library(name: str) -> str:
    """A library with its version, for `VERSION`."""
    return f"{name}-{version(name)}"
