"""A whole training run: a run file in; sentences, then `Step`s out; a run folder left behind.

out/NAME/
    run.toml            the resolved settings: `hanlin train out/NAME/run.toml` repeats the run
    metrics.jsonl       one line per step
    checkpoints/        what --resume goes on from
    model/              the trained model, or its adapter
    tokenizer/          of a new model
    report.html         curves, samples, settings
"""

import shutil
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import tomli_w

from hanlin.core.errors import RefusedError, StoreError
from hanlin.core.run import replacing
from hanlin.train import checkpoint
from hanlin.train.crew import Crew
from hanlin.train.export.trained import recorded
from hanlin.train.forecast import Forecast
from hanlin.train.gate.report import Report
from hanlin.train.loop import fit, is_over
from hanlin.train.metrics import Metrics
from hanlin.train.prepare import Resume, folder_of, prepare
from hanlin.train.report.page import write_report
from hanlin.train.save import Saver, write_model
from hanlin.train.settings import RunFile, written
from hanlin.train.step import Step
from hanlin.train.tensorboard import Board
from hanlin.train.validate import judged
from hanlin.train.work import Work

MODEL = "model"


def session(
    settings: RunFile, resume: Resume = Resume(), *, until: int | None = None, crew: Crew = Crew()
) -> Generator[str | Report | Work | Step, None, None]:
    """Prepare, train, and write the model: sentences, then the work in hand, then its steps.

    Args:
        until: stop after this step, as if interrupted; `--resume` goes on.

    Raises:
        RefusedError: the run folder holds another run, or the gate refuses this one.
    """
    run, began = folder_of(settings), time.monotonic()
    claim(run, resume, crew)
    work: Work | None = None
    for found in prepare(settings, resume, crew):
        if isinstance(found, Work):
            work = found
        yield found
    assert work is not None
    if crew.leads:
        settle(settings, work, resume)
    records = Records(work, began) if crew.leads else None
    for step in fit(work, until):
        if records is not None:
            records.add(step)
        try:
            yield step
        except KeyboardInterrupt:  # only between steps: a step cut in half is no state to go on from
            Saver(work).save()
            yield f"stopped after step {work.state.step} of {work.steps}, which is saved; --resume goes on"
            return
    if not is_over(work):
        yield f"stopped after step {work.state.step} of {work.steps}; --resume goes on"
        return
    finish(work)
    if records is None:
        return
    yield from records.end()
    yield f"the model is in {run / MODEL}"


class Records:
    """What a run writes down as it goes: metrics, TensorBoard's events, its forecast."""

    def __init__(self, work: Work, began: float) -> None:
        self.work = work
        self.metrics = Metrics(work.run, work.state.step)
        self.board = Board(work.run / "tensorboard", work.state.step + 1)
        self.forecast = Forecast(work, began)
        self.loss: float | None = None

    def add(self, step: Step) -> None:
        """One step."""
        self.metrics.add(step)
        self.board.add(step)
        self.forecast.add(step)
        self.loss = step.validation.loss if step.validation else self.loss

    def end(self) -> Iterator[str]:
        """Predicted beside actual, and the report."""
        self.board.close()
        for name, found in (self.forecast.outcome(self.loss) or {}).items():
            ratio = found["actual"] / found["predicted"]
            yield f"{name}: predicted {found['predicted']:,.4g}, actual {found['actual']:,.4g} ({ratio - 1:+.0%})"
        yield f"the report is {write_report(self.work.run)}"


def claim(run: Path, resume: Resume, crew: Crew) -> None:
    """See whether the run's folder is free.

    Raises:
        RefusedError: it has checkpoints already, and nobody said what to do with them.
        StoreError: it cannot be made.
    """
    if not crew.leads:
        return
    if checkpoint.listed(run) and not (resume.is_wanted or resume.is_anew):
        raise RefusedError(f"{run} has the checkpoints of a run", "go on with --resume, or begin anew with --restart")
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"the run folder {run} cannot be made: {error.strerror}"
        raise StoreError(what, "choose another with out=…") from None


def settle(settings: RunFile, work: Work, resume: Resume) -> None:
    """Nothing was refused: clear away what is to be, and write the resolved settings into the run's folder."""
    if resume.is_anew:
        shutil.rmtree(work.run / checkpoint.FOLDER, ignore_errors=True)
        shutil.rmtree(work.run / MODEL, ignore_errors=True)
    resolved = settings.model_copy(update={"model": work.settings.model, "train": work.settings.train})
    with replacing(work.run / "run.toml") as sink:
        sink.write(tomli_w.dumps(written(resolved)).encode())


def finish(work: Work) -> None:
    """Write the trained model: the running mean of the weights, if the run kept one."""
    folder, beside = work.run / MODEL, work.run / f".{MODEL}"
    with judged(work):  # by all, where the weights are divided
        if not work.crew.leads:
            return
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        write_model(work, beside)
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)
    settings = work.settings
    plain = settings.model_dump(mode="json", exclude_none=True)
    recorded(work.run, folder, plain, {"tokens": work.identity["data"]})
