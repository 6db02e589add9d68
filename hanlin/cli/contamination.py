"""Exams as an index that training texts are held against, built and asked from the terminal."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from hanlin.core.errors import ConfigError, DataError, HanlinError
from hanlin.core.plugins import names
from hanlin.data.contamination import Contamination, Item, build, found_in
from hanlin.eval.task import FOLDER, readable, task


def built(folder: Path, tasks: Sequence[str], data: Sequence[str]) -> None:
    """Build an index of these tasks, or of all whose data can be had; say which could not.

    Raises:
        ConfigError: a task that was named has no data.
    """
    given = {name: path for name, _, path in (pair.partition("=") for pair in data)}
    wanted = list(tasks) or names(FOLDER)
    counts: Counter[str] = Counter()

    def items() -> Iterator[Item]:
        for name in [*wanted, *(name for name in given if name not in wanted)]:
            try:
                found = list(readable(task(name, given.get(name, ""))))
            except HanlinError as error:
                if name in tasks or name in given:
                    raise
                click.echo(f"left out: {name}: {error.what}", err=True)
                continue
            wrong = [row for row in found if isinstance(row, DataError)]
            if wrong:
                click.echo(f"{name}: {len(wrong):,} rows cannot be read, such as {wrong[0].what}", err=True)
            for sample in found:
                if isinstance(sample, DataError):
                    continue
                counts[name] += 1
                yield Item(f"{name}/{sample.id}", sample.prompt)
                for number, answer in enumerate(sample.references):
                    yield Item(f"{name}/{sample.id}/answer{number}", answer)

    count = build(folder, items())
    for name, number in counts.items():
        click.echo(f"{name}: {number:,} items")
    click.echo(f"{folder}: {count:,} questions and answers of at least 8 words can be found")


def shown_of(index: Path, run: Path | None, names_of: Sequence[str]) -> None:
    """What an index holds; or which of its items stand in a corpus run, and where.

    Raises:
        ConfigError: there is no index, or the run did not look.
    """
    one = Contamination(index)
    if run is None:
        for name, count in one.tasks().items():
            click.echo(f"{name}: {count:,}")
        return
    found = found_in(run)
    whole = one.tasks()
    if names_of:
        for name in names_of:
            if name not in one.names:
                raise ConfigError(f"{name} is not in {index}", "items are called TASK/NUMBER; see --run without any")
            click.echo(f"{name}: {', '.join(found.get(name, [])) or 'in no document'}")
        return
    for name, total in whole.items():
        hit = sum(1 for item in found if item.partition("/")[0] == name)
        click.echo(f"{name}: {hit:,} of {total:,} stand in documents of {run}")
    for item, documents in sorted(found.items(), key=lambda pair: -len(pair[1]))[:20]:
        click.echo(f"  {item}: {len(documents):,} documents, such as {documents[0]}")
