"""What a corpus goes through: a step takes a text, says what it measured (tags), and may change the text.

A filter's tags are numbers, and its settings are bounds on them by name: `min_words` is the least that the tag `words`
may be, `max_x` the most that `x` may be; `min_words_zh` stands for Chinese texts instead. So a bound can be moved
without measuring anything again, and says by itself why a document went: "quality.min_words".

A file of `hanlin/data/filters` defines one class named `Step`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Shaped
from pydantic import Field

from hanlin.core.errors import ConfigError, did_you_mean
from hanlin.core.plugins import find, names
from hanlin.core.settings import Settings, parse
from hanlin.data.document import Document
from hanlin.data.view import View

FOLDER = "hanlin.data.filters"

Tags = Mapping[str, float | int | str]


@dataclass(frozen=True)
class Rule:
    """One bound: which tag, how far it may go."""

    name: str
    """Of the setting: "min_words"."""
    tag: str
    least: float = -math.inf
    most: float = math.inf
    least_zh: float | None = None
    """For Chinese texts, where another bound holds for them."""
    most_zh: float | None = None
    among: frozenset[str] | None = None
    """A tag of words: what it may be."""

    def fails(self, values: Shaped[np.ndarray, " n"], chinese: Bool[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Which documents break it. What was not measured (NaN) breaks nothing."""
        if self.among is not None:
            return ~np.isin(values, list(self.among))
        least = np.where(chinese, self.least if self.least_zh is None else self.least_zh, self.least)
        most = np.where(chinese, self.most if self.most_zh is None else self.most_zh, self.most)
        return (values < least) | (values > most)


class Step(Settings, ABC):
    """One step of a corpus run."""

    NAME: ClassVar[str] = ""

    name: str = ""
    """What its tags and reasons are called; empty: the name of its file."""

    @abstractmethod
    def tag(self, view: View) -> tuple[Tags, str | None]:
        """What is measured, and the text that goes on in place of this one, or None."""

    def basis(self) -> Sequence[str]:
        """Files beside its own that what it measures depends on: code, word lists, a model, an index."""
        return ()

    def rules(self) -> Sequence[Rule]:
        """Its bounds, in the order they are held against a document."""
        return bounds(self)

    def __call__(self, doc: Document) -> str | None:
        """Why a document goes: the name of the bound it breaks; None: it stays."""
        view = View(doc.text, doc.language)
        tags, _ = self.tag(view)
        chinese = np.array([view.is_chinese])
        for rule in self.rules():
            value = np.array([tags.get(rule.tag, "" if rule.among else math.nan)])
            if rule.fails(value, chinese)[0]:
                return rule.name
        return None


class Filter(Step):
    """A step that only measures."""

    @abstractmethod
    def measure(self, view: View) -> Tags:
        """Numbers by name."""

    def tag(self, view: View) -> tuple[Tags, str | None]:
        """The numbers; the text stays."""
        return self.measure(view), None


class Change(Step):
    """A step that rewrites texts."""

    @abstractmethod
    def change(self, view: View) -> tuple[str, Tags]:
        """The new text, and what was done."""

    def tag(self, view: View) -> tuple[Tags, str | None]:
        """What was done, and the new text if it is another."""
        text, tags = self.change(view)
        return tags, None if text == view.text else text


def bounds(step: Step) -> list[Rule]:
    """The rules that fields named min_… and max_… stand for, in their order; None: no bound."""
    found: dict[str, dict[str, Any]] = {}
    for field in type(step).model_fields:
        side, _, tag = field.partition("_")
        if side not in ("min", "max"):
            continue
        value, end = getattr(step, field), "least" if side == "min" else "most"
        if tag.endswith("_zh"):
            parts = found.setdefault(field.removesuffix("_zh"), {"tag": tag.removesuffix("_zh")})
            parts[f"{end}_zh"] = math.inf * (-1 if side == "min" else 1) if value is None else float(value)
        elif value is not None:
            found.setdefault(field, {"tag": tag})[end] = float(value)
    return [Rule(name, **parts) for name, parts in found.items()]


class StepSettings(Settings):
    """An entry of [[steps]]: which one; its own settings stand beside `use`."""

    model_config = Settings.model_config | {"extra": "allow"}

    use: str = Field(min_length=1)
    """A file of hanlin/data/filters, or a path to one."""


def opened(entries: Sequence[StepSettings]) -> list[Step]:
    """The steps of a run, each with its own name.

    Raises:
        ConfigError: there is no such step, a setting of it is wrong, or two have one name.
    """
    steps: list[Step] = []
    for at, entry in enumerate(entries):
        kind = find(FOLDER, entry.use).Step
        step = parse(kind, entry.model_extra or {}, f"steps[{at}]")
        default = entry.use.rpartition("/")[2].removesuffix(".py")
        steps.append(step if step.name else step.model_copy(update={"name": default}))
    known = [step.name for step in steps]
    for name in known:
        if known.count(name) > 1:
            raise ConfigError(f"two steps are called {name}", 'give one of them another name: name = "…"')
        if "." in name or "/" in name:
            raise ConfigError(f"a step is called {name}", "letters, digits and _ only")
    return steps


def offered() -> list[str]:
    """The steps there are."""
    return names(FOLDER)


def named(steps: Sequence[Step], path: str) -> tuple[Step, str]:
    """The step and setting that "quality.min_words" means.

    Raises:
        ConfigError: there is none.
    """
    name, _, field = path.partition(".")
    for step in steps:
        if step.name == name:
            if field in type(step).model_fields:
                return step, field
            raise ConfigError(f"{path} is not a setting", did_you_mean(field, type(step).model_fields))
    raise ConfigError(f"{path}: there is no step {name}", did_you_mean(name, [step.name for step in steps]))
