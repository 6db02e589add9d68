"""`hanlin train RUN --show N`: real rows as the model will get them, and what the gate says; nothing is trained."""

from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from hanlin.cli.models import fetched
from hanlin.cli.train.show import report, show
from hanlin.data.batch import Batch
from hanlin.data.example import Question
from hanlin.train.gate.report import Report
from hanlin.train.prepare import prepare
from hanlin.train.rows import part
from hanlin.train.settings import RunFile
from hanlin.train.work import Work


def show_rows(settings: RunFile, count: int, html: Path | None) -> None:
    """Print rows, and write them as a page if asked to.

    Raises:
        RefusedError: the gate does not let the run through; its findings are printed before.
    """
    if settings.model.use:
        fetched(settings.model.use)
    with TemporaryDirectory(prefix="hanlin-") as scratch:  # the run's own folder may hold a run
        _shown(settings.model_copy(update={"out": scratch}), count, html)


def _shown(settings: RunFile, count: int, html: Path | None) -> None:
    for found in prepare(settings):
        if isinstance(found, Report):
            report(found)
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
            )
        else:
            click.echo(found, err=True)


def _rows(batch: Batch) -> list[Batch]:
    return [part(batch, row, row + 1) for row in range(batch.rows)]
