"""Several runs in; the settings in which they differ, their figures side by side, their curves in one picture out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hanlin.core.page import Label
from hanlin.core.settings import dotted
from hanlin.train.report.curves import Curve, best_of, curves
from hanlin.train.report.read import Reading, as_object

NAMES = ("name", "out")
FIGURES = {
    "steps": Label("steps", "步数"),
    "loss": Label("training loss, last", "训练损失（末步）"),
    "validation_loss": Label("validation loss, best", "验证损失（最佳）"),
    "bits_per_byte": Label("bits per byte", "每字节比特数"),
    "tokens": Label("tokens read", "读入词元数"),
    "seconds": Label("seconds", "秒"),
    "tokens_per_second": Label("tokens per second", "每秒词元数"),
    "waiting_share": Label("share of time waiting for data", "等待数据的时间占比"),
    "peak_share": Label("MFU: share of this machine's peak", "MFU（占本机峰值）"),
    "status": Label("status", "状态"),
}
VALIDATED = ": validation"
"""What the title of a picture of validation losses ends in: it comes first."""
LOW, HIGH = ("validation_loss", "bits_per_byte"), ("tokens_per_second",)


@dataclass(frozen=True)
class Row:
    """One figure of all runs."""

    label: Label
    values: tuple[Any, ...]
    best: int | None = None
    """Which run is ahead."""


@dataclass(frozen=True)
class Comparison:
    """Runs side by side."""

    names: tuple[str, ...]
    """As they are told apart."""
    settings: Mapping[str, tuple[Any, ...]]
    """Key → value in each run, of those that differ; None where a run has no such key."""
    figures: tuple[Row, ...]
    pictures: tuple[tuple[Label, Mapping[str, Curve]], ...]
    """Title → curve of each run."""

    def as_object(self) -> dict[str, Any]:
        """Plain JSON, without the curves."""
        figures = {row.label.en: list(row.values) for row in self.figures}
        return {
            "runs": list(self.names),
            "settings": {k: list(v) for k, v in self.settings.items()},
            "figures": figures,
        }


def compare(readings: Sequence[Reading]) -> Comparison:
    """The runs side by side, in the order given."""
    names = _names(readings)
    flat = [dict(_leaves(reading.settings, ())) for reading in readings]
    keys = sorted({key for one in flat for key in one} - set(NAMES))
    differing = {key: tuple(one.get(key) for one in flat) for key in keys}
    return Comparison(
        names=names,
        settings={key: values for key, values in differing.items() if any(value != values[0] for value in values)},
        figures=tuple(_figures(readings)),
        pictures=tuple(_pictures(readings, names)),
    )


def _names(readings: Sequence[Reading]) -> tuple[str, ...]:
    """Each run's name; its folder where two are called the same, numbered where that is the same, too."""
    called = [reading.name for reading in readings]
    names = [one if called.count(one) == 1 else str(reading.run) for one, reading in zip(called, readings, strict=True)]
    return tuple(one if names.count(one) == 1 else f"{one} #{index + 1}" for index, one in enumerate(names))


def _figures(readings: Sequence[Reading]) -> Iterator[Row]:
    told = [as_object(reading) for reading in readings]
    for key, label in FIGURES.items():
        values = tuple(one[key] for one in told)
        if any(value is not None for value in values):
            yield Row(label, values, best_of(values, is_high=key in HIGH) if key in (*LOW, *HIGH) else None)
    for name in dict.fromkeys(name for one in told for name in one["figures"]):
        yield Row(Label(f"validation {name}", f"验证 {name}"), tuple(one["figures"].get(name) for one in told))


def _pictures(readings: Sequence[Reading], names: Sequence[str]) -> Iterator[tuple[Label, Mapping[str, Curve]]]:
    """Validation loss if there is one, else training loss; then everything else that any run has."""
    found: dict[Label, dict[str, Curve]] = {}
    for name, reading in zip(names, readings, strict=True):
        for label, lines in curves(reading):
            for kind, curve in lines.items():
                title = Label(f"{label.en}: {kind}", f"{label.zh}：{kind}") if len(lines) > 1 else label
                if not curve.is_empty:
                    found.setdefault(title, {})[name] = curve
    yield from sorted(found.items(), key=lambda item: not item[0].en.endswith(VALIDATED))


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    else:
        yield dotted(path), value
