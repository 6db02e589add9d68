"""`hanlin train RUN --show N`: real rows as the model will get them, and what the gate says; nothing is trained."""

from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console

from hanlin.cli.models import fetched
from hanlin.cli.train.show import report, show
from hanlin.data.batch import Batch
from hanlin.data.example import Question
from hanlin.train.gate.report import Report
from hanlin.train.prepare import prepare
from hanlin.train.rows import part
from hanlin.train.settings import RunFile
from hanlin.train.work import Work


def show_rows(settings: RunFile, count: int, html: Path | None, console: Console | None = None) -> None:
    """Print rows, and write them as a page if asked to.

    Args:
        console: where to print; None for standard output.

    Raises:
        RefusedError: the gate does not let the run through; its findings are printed before.
    """
    if settings.model.use:
        fetched(settings.model.use)
    with TemporaryDirectory(prefix="hanlin-") as scratch:  # the run's own folder may hold a run
        _shown(settings.model_copy(update={"out": scratch}), count, html, console)


def _shown(settings: RunFile, count: int, html: Path | None, console: Console | None) -> None:
    for found in prepare(settings):
        if isinstance(found, Report):
            report(found, console=console)
        elif isinstance(found, Work):
            batches = (batch for batch, _ in found.stream.batches())
            rows = chain.from_iterable(_rows(batch) for batch in batches)
            objective = found.settings.objective
            kind = "whole" if found.pupil.head else "answers" if Question in objective.TAKES else "tokens"
            show(
                islice(rows, count),
                found.pupil.tokenizer,
                count,
                html=html,
                shifts=objective.SHIFTS,
                judged=kind,
                classes=found.classes,
                console=console,
            )
        elif console is None:
            click.echo(found, err=True)


def _rows(batch: Batch) -> list[Batch]:
    return [part(batch, row, row + 1) for row in range(batch.rows)]
