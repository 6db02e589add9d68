"""A user's own task: a .toml file of about ten lines in, a `Task` out.

    data = "capitals.jsonl"                     # beside this file, or as the data room spells it
    prompt = "Question: {question}\\nAnswer:"    # columns of a row stand in braces
    choices = "options"                         # a column with a list, or a list of texts that every row shares
    gold = "answer"                             # the right one: its number from 0, its letter, or its text
    metrics = ["accuracy", { use = "accuracy", by = "bytes" }]

Without `choices` the model writes, and `gold` is the column of the right answer, or of a list of them. Without a prompt
either, the model reads the column `text`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from hanlin.core.errors import ConfigError, did_you_mean
from hanlin.core.settings import Settings, load
from hanlin.data.files import package
from hanlin.eval.metric import metric
from hanlin.eval.sample import Sample
from hanlin.eval.task import Task, lettered, right

COLUMN = re.compile(r"\{(\w+)\}")


class OwnTask(Settings):
    """What a task's file may say."""

    data: str = Field("", min_length=0)
    """A file or folder, relative to this one, or files of a package; empty: given with --data."""
    prompt: str = ""
    """The question; {column} stands for a row's value."""
    choices: str | tuple[str, ...] = ""
    """The column of the choices, or the choices themselves."""
    gold: str = ""
    """The column of the right choice, or of the right answers."""
    text: str = "text"
    """The column that is read where there is no prompt."""
    metrics: tuple[str | dict[str, Any], ...] = ()
    """Names, or {use = "name", …} with settings. Empty: accuracy, exact_match or perplexity."""
    between: str = " "
    """What stands between the prompt and an answer."""
    group: str = ""
    """The column of a subgroup that figures are told for."""
    cluster: str = ""
    """The column of what several rows share, such as a passage."""
    about: str = ""
    """Said once before everything."""
    stop: tuple[str, ...] = ("\n",)
    """Texts that end a written answer."""
    max_tokens: int = Field(64, ge=1)
    """Of a written answer."""
    neutral: str = "Answer:"
    """The prompt for accuracy by pmi."""
    version: str = "1"
    """Change it when the questions or the judging change."""


def own_task(path: Path) -> Task:
    """The task that a file describes.

    Raises:
        ConfigError: the file cannot be read, a key or a metric is unknown, or it asks for nothing.
    """
    plan = load(OwnTask, path)
    kind = "choose" if plan.choices else "write" if plan.prompt else "read"
    if kind != "read" and not plan.gold:
        raise ConfigError(f"{path}: gold is missing", "name the column of the right answer: gold = …")
    if kind == "choose" and not plan.prompt:
        raise ConfigError(f"{path}: there are choices but no prompt", 'write one: prompt = "{question}"')
    usual = {"choose": "accuracy", "write": "exact_match", "read": "perplexity"}[kind]
    metrics: dict[str, Mapping[str, Any]] = {}
    for one in plan.metrics or (usual,):
        settings = {"use": one} if isinstance(one, str) else dict(one)
        if "use" not in settings:
            raise ConfigError(f"{path}: a metric has no name", 'write { use = "accuracy", … }')
        metric(**settings)
        name = "_".join([settings["use"], *(str(value) for key, value in settings.items() if key != "use")])
        metrics[name] = settings
    data = plan.data
    if data and not package(data)[0]:
        data = str(path.parent / data)
    return Task(
        name=path.stem,
        kind=kind,
        sample=lambda row: sample(plan, row),
        metrics=metrics,
        data=data,
        version=plan.version,
        source=str(path),
        about=plan.about,
        stop=plan.stop,
        max_tokens=plan.max_tokens,
        neutral=plan.neutral,
    )


def sample(plan: OwnTask, row: Mapping[str, Any]) -> Sample:
    """A row as the file says it is meant."""
    own: dict[str, Any] = {
        "group": str(_column(row, plan.group)) if plan.group else "",
        "cluster": str(_column(row, plan.cluster)) if plan.cluster else "",
    }
    if not plan.prompt:
        return Sample(references=(str(_column(row, plan.text)),), **own)
    prompt = COLUMN.sub(lambda found: str(_column(row, found[1])), plan.prompt)
    gold = _column(row, plan.gold)
    if plan.choices:
        choices = plan.choices if isinstance(plan.choices, tuple) else lettered(_column(row, plan.choices))
        return Sample(prompt=prompt, choices=choices, gold=right(gold, choices), between=plan.between, **own)
    references = tuple(map(str, gold)) if isinstance(gold, list | tuple) else (str(gold),)
    return Sample(prompt=prompt, references=references, between=plan.between, **own)


def _column(row: Mapping[str, Any], name: str) -> Any:
    if row.get(name) is None:
        there = [column for column in row if not column.startswith("_")]
        raise ValueError(f"it has no {name!r}; {did_you_mean(name, there)}")
    return row[name]
