"""Train: pre-train a new model from raw text, or fine-tune one, as a run file says."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from hanlin.core.errors import ConfigError


def __getattr__(name: str) -> Any:
    """`RunFile`, the settings that a run file of this verb fills; imported when asked for, since it brings torch."""
    if name != "RunFile":
        raise AttributeError(name)
    from hanlin.train.settings import RunFile

    return RunFile


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1)
@click.option("--show", type=click.IntRange(1), metavar="N", help="Print N rows as the model sees them, and stop.")
@click.option("--html", type=click.Path(path_type=Path), help="With --show: also as a page to open in a browser.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint, bit for bit as if never stopped.")
@click.option("--force", is_flag=True, help="With --resume: even if data or settings have changed.")
@click.option("--restart", is_flag=True, help="Throw the run folder's checkpoints away and begin again.")
@click.option("--until", type=click.IntRange(1), metavar="STEP", help="Stop after this step; --resume goes on.")
@click.option("--verify-resume", is_flag=True, help="Prove it: kill a short copy of this run, resume it, compare.")
@click.option("--workers", type=click.IntRange(1), default=1, help="Processes that share the work  [default: 1]")
@click.option("--on", metavar="ray[://HOST:PORT]", help="Start the workers on a Ray cluster; alone: on this machine.")
def command(run: Path, overrides: tuple[str, ...], **options: Any) -> None:
    """Train a model as the run file RUN says; OVERRIDES are settings as key=value.

    For instance: hanlin train runs/tiny.toml train.steps=200 data.context=128

    The run folder (out/NAME) holds checkpoints, metrics, a report and, at the end, the model. Ctrl-C saves a
    checkpoint and stops; --resume goes on.
    """
    from hanlin.core.settings import load, read_toml
    from hanlin.train.settings import RunFile

    verb = read_toml(run).get("verb", "train")
    if verb != "train":
        raise ConfigError(f"{run} is a run file of another verb, {verb}", f"hanlin {verb} {run}")
    settings = load(RunFile, run, overrides)
    if options["show"]:
        from hanlin.cli.train.rows import show_rows

        show_rows(settings, options["show"], options["html"])
    elif options["verify_resume"]:
        from hanlin.cli.train.verify import verify

        verify(settings, run, overrides)
    elif options["on"]:
        from hanlin.cli.train.on_ray import train_on_ray

        train_on_ray(settings, options, options["on"])
    else:
        from hanlin.cli.train.workers import is_worker, launch, work

        if is_worker():
            work(lambda crew: take(settings, options, crew))
        elif options["workers"] > 1:
            launch(settings, run, overrides, options)
        else:
            take(settings, options)


def take(settings: Any, options: dict[str, Any], crew: Any = None) -> None:
    """The run in this process, drawn as it goes."""
    from rich.console import Console

    from hanlin.cli.models import fetched
    from hanlin.cli.train.progress import Show
    from hanlin.cli.train.show import report
    from hanlin.train.crew import Crew
    from hanlin.train.gate.report import Report
    from hanlin.train.prepare import Resume
    from hanlin.train.session import session
    from hanlin.train.step import Step
    from hanlin.train.work import Work

    crew = crew or Crew()
    if settings.model.use and crew.leads:
        fetched(settings.model.use)
    crew.wait()
    resume = Resume(options["resume"], options["restart"], options["force"])
    show = Show(Console(highlight=False, quiet=not crew.leads))
    events = session(settings, resume, until=options["until"], crew=crew)
    try:
        with ExitStack() as stack:
            is_asked: list[bool] = []
            for event in events:
                if isinstance(event, Work):
                    is_asked = stack.enter_context(_patient())
                    show.begin(event)
                elif isinstance(event, Step):
                    show.step(event)
                    if any(crew.told(bool(is_asked))):
                        show.end()
                        show.note(str(events.throw(KeyboardInterrupt)))
                        raise KeyboardInterrupt
                elif isinstance(event, Report):
                    if crew.leads:
                        report(event, console=show.console)
                else:
                    show.note(event)
    finally:
        show.end()


@contextmanager
def _patient() -> Iterator[list[bool]]:
    """Ctrl-C is kept until the step is done, so that a checkpoint can be written; a second one stops at once."""
    asked: list[bool] = []
    if threading.current_thread() is not threading.main_thread():  # of a worker that Ray sees to
        yield asked
        return

    def once(*_: object) -> None:
        asked.append(True)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, once)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
