"""Take the tour: the whole life of a model on real text, on this machine, ending in a report."""

import time
from pathlib import Path

import click

from hanlin.cli.language import spoken
from hanlin.cli.tour.settings import RunFile
from hanlin.core.settings import load, override, parse

LEAD = {
    "en": "A language model at work on this machine, step by step, with what each step is for. {when}",
    "zh": "一个语言模型在这台机器上一步一步地工作，每一步都说明它的用处。{when}",
}
TITLE = {"en": "The tour", "zh": "导览"}
DONE = {"en": "Done in {seconds:.0f} s. The report: {path}", "zh": "完成，用时 {seconds:.0f} 秒。报告：{path}"}

__all__ = ["RunFile", "command"]


@click.command()
@click.argument("run", required=False)
@click.argument("overrides", nargs=-1)
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Language of the explanations  [default: the machine's]")
def command(run: str | None, overrides: tuple[str, ...], lang: str | None) -> None:
    """Show the whole life of a model on real text and write a report.

    RUN is a run file such as runs/tour.toml; without one the defaults are taken. OVERRIDES are settings as key=value,
    for instance out=/tmp/tour or stages='["pull", "chat"]'.
    """
    if run and "=" in run and not Path(run).exists():
        run, overrides = None, (run, *overrides)
    wanted = [*overrides, *([f"lang={lang}"] if lang else [])]
    settings = load(RunFile, Path(run), wanted) if run else parse(RunFile, override({}, wanted))
    take(settings)


def take(settings: RunFile) -> Path:
    """Every stage in order, printed as it goes; returns the path of the report."""
    from hanlin.cli.page import page
    from hanlin.cli.tour.guide import Guide
    from hanlin.cli.tour.notes import Figures, Progress
    from hanlin.cli.tour.print import Printer
    from hanlin.cli.tour.report import Chapter, render
    from hanlin.core.home import expanded
    from hanlin.core.plugins import find
    from hanlin.core.run import Run

    stages = [find("hanlin.cli.tour.stages", name) for name in settings.stages]
    run = Run(expanded(settings.out), settings)
    guide = Guide(settings, settings.lang or spoken())
    printer = Printer(page(), guide.lang)
    began, chapters = time.monotonic(), []
    for number, stage in enumerate(stages, 1):
        title, why, started, notes = guide.say(stage.TITLE), guide.say(stage.WHY), time.monotonic(), []
        printer.heading(number, len(stages), title, why)
        try:
            for note in stage.run(guide):
                printer.show(note)
                if not isinstance(note, Progress):
                    notes.append(note)
        finally:
            printer.end_progress()
            printer.end_answer()
        chapters.append(Chapter(title, why, time.monotonic() - started, tuple(notes)))
        figures = {name: value for note in notes if isinstance(note, Figures) for name, value in note.values.items()}
        run.log({"stage": settings.stages[number - 1], **figures})
    lead = guide.say(LEAD, when=time.strftime("%Y-%m-%d %H:%M"))
    report = run.write("report.html", render(guide.say(TITLE), lead, guide.lang, chapters).encode())
    printer.console.print()
    click.echo(guide.say(DONE, seconds=time.monotonic() - began, path=report.resolve()))
    return report
