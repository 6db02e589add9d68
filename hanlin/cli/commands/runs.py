"""List training runs, look at one, compare several."""

import json
import sys
import time
from pathlib import Path

import click

from hanlin.core.errors import ConfigError, HanlinError, StoreError, did_you_mean

WIDE = 400
"""Columns where nobody looks at a terminal: no line is ever cut."""
COLUMNS = ("name", "objective", "steps", "loss", "validation", "bits/byte", "tokens/s", "status", "age")


@click.group(invoke_without_command=True)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), help="Where the run folders lie  [default: out]"
)
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the table.")
@click.pass_context
def command(ctx: click.Context, out: Path, is_json: bool) -> None:
    """The training runs under out/: what they learn, how far they are, how well they do.

    `hanlin runs show NAME` shows one with its curves and writes its report; `hanlin runs compare A B` sets several side
    by side. A run is named by its folder, or by its name under out/.
    """
    ctx.obj = out
    if ctx.invoked_subcommand is not None:
        return
    from hanlin.train.report.read import as_object, read

    found, damaged = [], []
    for folder in _folders(out):
        try:
            found.append(as_object(read(folder)))
        except HanlinError as error:
            damaged.append(error)
    found.sort(key=lambda run: -run["changed"])
    if is_json:
        problems = [error.what for error in damaged]
        click.echo(json.dumps({"runs": found, "problems": problems}, ensure_ascii=False, indent=2))
    elif found:
        _print(found)
    elif not damaged:
        click.echo(f"no runs in {out}; hanlin train runs/tiny.toml makes one")
    for error in damaged:
        click.echo(str(error), err=True)
    ctx.exit(2 if damaged else 0)


@command.command()
@click.argument("run")
@click.option("--html", "is_page", is_flag=True, help="Write RUN/report.html instead: curves, samples, settings.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the page.")
@click.pass_obj
def show(out: Path, run: str, is_page: bool, is_json: bool) -> None:
    """One run: figures, loss curve, notes and the last sample."""
    from hanlin.train.report.curves import drawn
    from hanlin.train.report.read import as_object, read

    folder = _folder(out, run)
    if is_page:
        from hanlin.train.report.page import write_report

        click.echo(str(write_report(folder)))
        return
    reading = read(folder)
    told = as_object(reading)
    if is_json:
        notes = [{"step": note.step, "text": note.text} for note in reading.notes]
        click.echo(json.dumps({**told, "notes": notes}, ensure_ascii=False, indent=2))
        return
    from rich.table import Table
    from rich.text import Text

    from hanlin.cli.page import page
    from hanlin.cli.visible import harmless
    from hanlin.train.report.curves import curves

    console = page()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for key, value in told.items():
        if value not in (None, {}) and key not in ("changed", "notes"):
            table.add_row(Text(key.replace("_", " "), style="dim"), Text(_figure(value)))
    console.print(table)
    losses = next(lines for _, lines in curves(reading))
    for line in drawn({name: curve for name, curve in losses.items() if not curve.is_empty}):
        console.print(Text(line))
    for note in reading.notes[-10:]:
        console.print(Text(f"step {note.step}: {harmless(note.text)}", style="yellow"))
    sample = next((step.sample for step in reversed(reading.steps) if step.sample), None)
    if sample:
        console.print(Text(harmless(sample), style="italic"))


@command.command()
@click.argument("runs", nargs=-1)
@click.option("--html", "page_path", metavar="FILE", type=click.Path(path_type=Path), help="Write a page with curves.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the tables.")
@click.pass_obj
def compare(out: Path, runs: tuple[str, ...], page_path: Path | None, is_json: bool) -> None:
    """Two runs or more: settings that differ, figures side by side, curves in one plot."""
    from hanlin.train.report.compare import compare as compared
    from hanlin.train.report.read import read

    if len(runs) < 2:
        raise ConfigError(f"{len(runs)} run cannot be compared", "name two or more; `hanlin runs` lists them")
    found = compared([read(_folder(out, run)) for run in runs])
    if page_path is not None:
        from hanlin.train.report.page import write_comparison

        write_comparison(found, page_path)
        click.echo(f"{page_path} written", err=True)
    if is_json:
        click.echo(json.dumps(found.as_object(), ensure_ascii=False, indent=2))
    elif page_path is None:
        _print_comparison(found)


def _folders(out: Path) -> list[Path]:
    return sorted(path.parent for path in out.glob("*/run.toml") if (path.parent / "metrics.jsonl").exists())


def _folder(out: Path, run: str) -> Path:
    """The folder of a run, by its path or its name."""
    for path in (Path(run), out / run):
        if (path / "run.toml").is_file():
            return path
    names = [path.name for path in _folders(out)]
    raise StoreError(f"there is no run {run!r} here or in {out}", did_you_mean(run, names))


def _print(found: list[dict]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from hanlin.cli.page import page

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in COLUMNS:
        is_figure = column not in ("name", "objective", "status", "age")
        table.add_column(column, justify="right" if is_figure else "left", overflow="fold", no_wrap=column != "name")
    for run in found:
        keys = ("steps", "loss", "validation_loss", "bits_per_byte", "tokens_per_second")
        figures = [_figure(run[key]) for key in keys]
        row = [run["name"], run["objective"], *figures, run["status"], _age(time.time() - run["changed"])]
        table.add_row(*map(Text, row))
    (page() if sys.stdout.isatty() else Console(highlight=False, width=WIDE)).print(table)


def _print_comparison(found) -> None:
    from rich.table import Table
    from rich.text import Text

    from hanlin.cli.page import page
    from hanlin.train.report.curves import drawn

    console = page()
    for title, rows in (
        ("figure", [(row.label.en, row.values, row.best) for row in found.figures]),
        ("setting", [(key, values, None) for key, values in found.settings.items()]),
    ):
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for column in (title, *found.names):
            table.add_column(Text(column), overflow="fold")
        for name, values, best in rows:
            cells = [Text(_figure(value), style="bold" if place == best else "") for place, value in enumerate(values)]
            table.add_row(Text(name), *cells)
        if rows:
            console.print(table)
    title, lines = next(iter(found.pictures), (None, {}))
    if title:
        console.print(Text(title.en, style="bold"))
        for line in drawn(lines):
            console.print(Text(line))


def _figure(value: object) -> str:
    from hanlin.core.page import shown

    if isinstance(value, dict):
        return ", ".join(f"{name} {shown(inner)}" for name, inner in value.items())
    return shown(value)


def _age(seconds: float) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {name}"
    return f"{max(0, seconds):.0f} s"
