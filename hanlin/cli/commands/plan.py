"""Plan a training run: what it will take on this machine, before it is begun."""

import json
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1)
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the table.")
@click.option("--workers", type=click.IntRange(1), default=1, help="Processes that share the work  [default: 1]")
def command(run: Path, overrides: tuple[str, ...], is_json: bool, workers: int) -> None:
    """Time, memory, disk, tokens and loss of the run file RUN on this machine, each with an interval.

    The model and the data are prepared for real and trained for a few steps, which are thrown away: about half a
    minute. If it does not fit, what to change is said. The run itself is held to the plan when it ends.
    """
    from hanlin.cli.train.workers import is_worker, launch_once, work
    from hanlin.core.settings import load
    from hanlin.train.settings import RunFile

    settings = load(RunFile, run, overrides)
    if is_worker():
        work(lambda crew: _plan(settings, is_json, crew))
    elif workers > 1:
        launch_once(("plan", str(run), *overrides, *(["--json"] if is_json else [])), workers)
    else:
        _plan(settings, is_json)


def _plan(settings: Any, is_json: bool, crew: Any = None) -> None:
    """Prepare, try, and say what came of it, with the others of a crew if there are any."""
    from hanlin.cli.models import fetched
    from hanlin.train import plan
    from hanlin.train.crew import Crew
    from hanlin.train.prepare import Resume, prepare
    from hanlin.train.work import Work

    began, crew = time.perf_counter(), crew or Crew()
    if settings.model.use and crew.leads:
        fetched(settings.model.use)
    crew.wait()
    with ExitStack() as stack:
        scratch = crew.led(lambda: stack.enter_context(TemporaryDirectory(prefix="hanlin-")))
        for found in prepare(settings.model_copy(update={"out": scratch}), Resume(), crew):
            if isinstance(found, Work):
                trial = plan.trial(found, time.perf_counter() - began)
                if crew.leads:
                    _told(settings, found, trial, Path(scratch), is_json)
            elif isinstance(found, str) and crew.leads and not is_json:
                click.echo(found, err=True)
        crew.wait()


def _told(settings: Any, work: Any, trial: Any, scratch: Path, is_json: bool) -> None:
    """The plan as text or JSON; kept in the run's folder for its end, unless that has a run already."""
    from hanlin.train import budget, checkpoint, plan
    from hanlin.train.prepare import folder_of

    folder = folder_of(settings)
    planned = plan.predicted(replace(work, run=folder), trial)
    if checkpoint.listed(folder):
        click.echo(f"{folder} has a run already, which is held to its own plan", err=True)
    else:
        plan.write(work, planned, run=folder)
        budget.hand_over(scratch, folder)
    click.echo(json.dumps(plan.plain(planned), indent=2) if is_json else _table(planned))


def _table(plan: Any) -> str:
    """The plan in lines."""
    weights = f"{plan.weights / 1e6:,.1f} million weights"
    if plan.learning != plan.weights:
        weights += f", {plan.learning / 1e6:,.2f} million learn"
    free = _gigabytes(float(plan.free_memory_bytes))
    each = f" for each of {plan.workers} workers," if plan.workers > 1 else ""
    lines = [
        f"model     {weights}",
        f"work      {plan.steps:,} steps, {plan.tokens:,} tokens",
        f"time      {_interval(plan.seconds, duration)}",
        f"memory    {_interval(plan.memory_bytes, _gigabytes)}{each} of {free} free",
        f"disk      {_gigabytes(float(plan.disk_bytes))} of {_gigabytes(float(plan.free_disk_bytes))} free",
        f"loss      {_interval(plan.loss, '{:.3f}'.format) if plan.loss else 'no run like this is known'}",
    ]
    if plan.fits:
        return "\n".join(lines)
    return "\n".join([*lines, "it does not fit:", *(f"  {line}" for line in plan.advice)])


def _interval(guess: Any, written: Any) -> str:
    return f"{written(guess.value)}  ({written(guess.low)} to {written(guess.high)})"


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.2f} GB"


def duration(seconds: float) -> str:
    """ "1 h 20 min", "3 min 5 s", "42 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
