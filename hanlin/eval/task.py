"""What a task is: rows of its data in, samples out, and by which metrics the answers are judged.

A task is a value. It comes from a file of `eval/tasks`, from a user's own .py file that defines `TASK`, or from a .toml
file (see `own.py`). Its data are found where the data room finds any: a file, a folder, a package of a registry.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from hanlin.core.errors import ConfigError, DataError, shown
from hanlin.core.plugins import find
from hanlin.data.example import Row
from hanlin.data.read import rows as read_rows
from hanlin.data.settings import SourceSettings
from hanlin.eval.metric import Metric, metric
from hanlin.eval.sample import Sample

FOLDER = "hanlin.eval.tasks"
OWN = "own:"
"""What data that are shipped with Hanlin begin with."""
LETTERS = "ABCDEFGHIJ"
Kind = Literal["choose", "write", "read"]


@dataclass(frozen=True)
class Task:
    """An exam's questions and how answers to them are judged."""

    name: str
    kind: Kind
    """choose: which choice is likeliest; write: the model answers in words; read: how well it knows the text."""
    sample: Callable[[Mapping[str, Any]], Sample]
    """A row of the data as a question; raises KeyError or ValueError where the row is none."""
    metrics: Mapping[str, Mapping[str, Any]]
    """The name a figure is told under → the metric it `use`s and its settings."""
    data: str = ""
    """Where the rows are, as the data room spells it; "" where the user has to say."""
    version: str = "1"
    """Changes when the same row gives another question or the same answer another figure."""
    licence: str = ""
    """Of the data."""
    source: str = ""
    """Who made it: a paper or a page."""
    file: str = ""
    """The user's file that it is from; "" of a task of ours."""
    about: str = ""
    """Said once before the examples, where there are any; else before the question."""
    between: str = "\n\n"
    """What stands between two examples."""
    stop: tuple[str, ...] = ()
    """Texts that end a written answer."""
    max_tokens: int = 64
    """Of a written answer."""
    neutral: str = ""
    """The prompt of which a choice's likelihood is taken by itself, where a metric wants it."""
    most_bad: float = 0.0
    """Share of rows that may be no questions: they are left out and told. The first one beyond ends the exam."""
    examples: tuple[tuple[Mapping[str, Any], Sample], ...] = field(default=(), repr=False)
    """Rows and the samples they give."""

    def judges(self) -> dict[str, Metric]:
        """The metrics by the name their figures are told under."""
        return {name: metric(**settings) for name, settings in self.metrics.items()}

    @property
    def wants_alone(self) -> bool:
        """A metric asks how likely a choice is without its question."""
        return any(settings.get("by") == "pmi" for settings in self.metrics.values())


def task(name: str, data: str = "") -> Task:
    """The task of that name or file, with other data where they are given.

    Raises:
        ConfigError: there is none, or its file is wrong.
    """
    if name.endswith(".toml"):
        from hanlin.eval.own import own_task

        found = own_task(Path(name))
    else:
        found = getattr(find(FOLDER, name), "TASK", None)
        if not isinstance(found, Task):
            raise ConfigError(f"{name} defines no TASK", "see hanlin/eval/tasks/boolq.py for one")
    is_own = name.endswith((".toml", ".py"))
    found = replace(found, data=data or found.data, file=str(Path(name).resolve()) if is_own else "")
    if not found.data:
        raise ConfigError(f"{name} has no data of its own", f"name a file: --data {name}=FILE")
    return found


def samples(one: Task, limit: int | None = None, shots: int = 0, seed: int = 0) -> list[Sample]:
    """The task's questions in the order of its data, each with an id of its own.

    Args:
        limit: ask so many, drawn at random: the first rows of a file are seldom like the rest.
        shots: rows that are shown as examples, drawn at random too, and not asked.
        seed: of the drawing; the same one draws the same.

    Raises:
        DataError: more rows than the task bears cannot be read, or there are none left.
    """
    rows = list(_rows(one))
    bad = _bad(one, rows)
    order = random.Random(seed).sample(range(len(rows)), len(rows)) if shots or limit else list(range(len(rows)))
    order = [place for place in order if place not in bad]
    asked = sorted(order[shots:][:limit])
    if not asked:
        raise DataError(f"{one.name}: {one.data} has {len(rows)} rows, {shots} shown and none to ask", "give more data")
    before = one.about
    for place in order[:shots]:
        before += example_text(_sampled(one, place, rows[place])) + one.between
    found = [_sampled(one, place, rows[place]) for place in asked]
    twice = [name for name, count in Counter(sample.id for sample in found).items() if count > 1]
    if twice:
        raise DataError(f"{one.name}: {shown(twice[0])} names two rows of {one.data}", "give each row an id of its own")
    return [replace(sample, prompt=before + sample.prompt) for sample in found]


def _bad(one: Task, rows: Sequence[Row]) -> frozenset[int]:
    """Places of rows that are no questions, where the task bears some.

    Raises:
        DataError: the first of them, when they are too many.
    """
    if not one.most_bad:
        return frozenset()
    found: dict[int, DataError] = {}
    for place, row in enumerate(rows):
        try:
            _sampled(one, place, row)
        except DataError as error:
            found[place] = error
    if len(found) > one.most_bad * len(rows):
        raise next(iter(found.values()))
    return frozenset(found)


def readable(one: Task) -> Iterator[Sample | DataError]:
    """Every row of a task's data, as a question or as why it is none, without examples before it."""
    for number, row in enumerate(_rows(one)):
        try:
            yield _sampled(one, number, row)
        except DataError as error:
            yield error


def example_text(sample: Sample) -> str:
    """A question with its right answer, as it is shown before others.

    Raises:
        DataError: it has none.
    """
    if not (sample.gold if sample.choices else sample.references):
        raise DataError(f"{shown(sample.prompt)} has no right answer to show", "ask without examples: --shots 0")
    answer = sample.choices[sample.gold[0]] if sample.choices else sample.references[0]
    return f"{sample.prompt}{sample.between}{answer}"


def _rows(one: Task) -> Iterator[Row]:
    path = str(files("hanlin.eval") / "texts" / one.data.removeprefix(OWN)) if one.data.startswith(OWN) else one.data
    for row in read_rows(SourceSettings(path=path, split="line")):
        if isinstance(row, DataError):
            raise row
        yield row


def _sampled(one: Task, number: int, row: Row) -> Sample:
    try:
        made = one.sample({**row.value, "_file": row.file})
    except KeyError as error:
        columns = ", ".join(row.value)
        raise row.wrong(f"{one.name} needs the column {error}; there are {columns}", "give data in its form") from None
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise row.wrong(f"{one.name} cannot read the row: {error}", "mend the row, or leave it out") from None
    for place in made.gold:
        if not 0 <= place < len(made.choices):
            raise row.wrong(f"the right choice is number {place} of {len(made.choices)}", "mend the row")
    return made if made.id else replace(made, id=str(row.value.get("id", number)))


def lettered(options: str | Sequence[str]) -> tuple[str, ...]:
    """Choices from a list, or from a text of lines "A. …"."""
    lines = options.strip().splitlines() if isinstance(options, str) else list(options)
    found = []
    for place, line in enumerate(lines):
        mark = f"{LETTERS[place]}." if place < len(LETTERS) else ""
        if isinstance(options, str) and not line.strip().startswith(mark):
            raise ValueError(f"the choice {shown(line)} does not begin with {mark}")
        found.append(line.strip().removeprefix(mark).strip() if isinstance(options, str) else line.strip())
    return tuple(found)


def right(answer: Any, choices: Sequence[str]) -> tuple[int, ...]:
    """The place of the right choice: a number, a letter, "B. text", or its text."""
    if isinstance(answer, int) and not isinstance(answer, bool):
        return (answer,)
    text = str(answer).strip()
    if text in choices:
        return (list(choices).index(text),)
    if text.isdigit():
        return (int(text),)
    letter, mark, rest = text.partition(".")
    if letter in LETTERS[: len(choices)] and (not mark or rest.strip() == choices[LETTERS.index(letter)]):
        return (LETTERS.index(letter),)
    raise ValueError(f"the answer {shown(text)} is none of the choices")


def table(choices: Sequence[str]) -> str:
    """Choices as lines "A. …"."""
    return "\n".join(f"{LETTERS[place]}. {choice}" for place, choice in enumerate(choices))
