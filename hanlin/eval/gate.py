"""Bounds that a model has to keep: a .toml file and results in, what is broken out.

    [boolq]
    acc = { at_least = 0.55 }
    ece = { at_most = 0.2, sure = true }     # broken unless the whole 95 % interval is within

A bound whose figure was not measured is broken: an exam that did not happen proves nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import model_validator

from hanlin.core.errors import ConfigError, shown
from hanlin.core.settings import Settings, parse, read_toml
from hanlin.eval.exam import Result
from hanlin.eval.score import Score


class Bound(Settings):
    """What a figure may be."""

    at_least: float | None = None
    """The least that will do."""
    at_most: float | None = None
    """The most that will do."""
    sure: bool = False
    """The 95 % interval has to lie within, not the value alone."""

    @model_validator(mode="after")
    def _bounds_something(self) -> "Bound":
        if self.at_least is None and self.at_most is None:
            raise ValueError("it has neither at_least nor at_most")
        return self

    def reason(self, score: Score) -> str:
        """Why a score breaks it; "" if it does not."""
        low, high = score.interval() if self.sure else (score.value, score.value)
        spread = f" ({low:.4f} to {high:.4f})" if self.sure else ""
        if self.at_least is not None and not low >= self.at_least:  # nan breaks it
            return f"{score.value:.4f}{spread} is below {self.at_least}"
        if self.at_most is not None and not high <= self.at_most:
            return f"{score.value:.4f}{spread} is above {self.at_most}"
        return ""


@dataclass(frozen=True)
class Gate:
    """All bounds of a file, by task and figure."""

    bounds: dict[str, dict[str, Bound]]

    @classmethod
    def read(cls, path: Path) -> "Gate":
        """The bounds in a file.

        Raises:
            ConfigError: it cannot be read, or bounds nothing.
        """
        found = {}
        for task, figures in read_toml(path).items():
            if not isinstance(figures, dict) or not all(isinstance(one, dict) for one in figures.values()):
                raise ConfigError(
                    f"{path}: {task} = {shown(figures)}", f"write [{task}], then acc = {{ at_least = … }}"
                )
            found[task] = {name: parse(Bound, bound, f"{task}.{name}") for name, bound in figures.items()}
        if not any(found.values()):
            raise ConfigError(
                f"{path} has no bounds: anything would pass", "write [boolq], then acc = { at_least = … }"
            )
        return cls(found)

    @property
    def count(self) -> int:
        """Bounds."""
        return sum(len(figures) for figures in self.bounds.values())

    def broken(self, results: Sequence[Result]) -> list[str]:
        """A line for each bound that is broken."""
        scores = {result.task: result.scores for result in results}
        found = []
        for task, figures in self.bounds.items():
            for name, bound in figures.items():
                score = scores.get(task, {}).get(name)
                reason = "was not measured" if score is None else bound.reason(score)
                if reason:
                    found.append(f"{task} {name} {reason}")
        return found
