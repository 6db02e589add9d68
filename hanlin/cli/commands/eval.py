"""Examine a model: accuracy, BLEU, ROUGE, perplexity, calibration, each with its error and how it was made."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from hanlin.cli.arguments import adapter_option, dtype_option
from hanlin.core.errors import ConfigError

OUT = "Write .html, .md, .json, or .parquet of items; a folder gets all four. May be given again."


@click.command()
@click.argument("model", required=False)
@click.argument("tasks", metavar="TASK…", nargs=-1)
@click.option("--data", "data", multiple=True, metavar="TASK=PATH", help="Other data for a task, or its only ones.")
@click.option("--limit", type=click.IntRange(1), help="Ask so many items, drawn at random.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="End each task after so long; it can go on.")
@click.option("--shots", type=click.IntRange(0), default=0, show_default=True, help="Rows shown as examples before.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn.")
@click.option("--chat", "is_chat", is_flag=True, help="Ask through the model's chat template.")
@click.option("--gate", type=click.Path(path_type=Path), metavar="FILE", help="Bounds; exit 1 when one is broken.")
@click.option("--out", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help=OUT)
@click.option("--store", metavar="FILE", default="", help="Keep answers in FILE, not in exams.sqlite of Hanlin's own.")
@dtype_option
@adapter_option
@click.option(
    "--at-once", type=click.IntRange(1), default=8, show_default=True, help="Requests under way to an http://…"
)
@click.option("--retries", type=click.IntRange(0), default=5, show_default=True, help="Of a request that fails.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the table.")
@click.option("--list", "is_list", is_flag=True, help="The tasks there are.")
@click.pass_context
def command(
    ctx: click.Context,
    model: str | None,
    tasks: tuple[str, ...],
    data: tuple[str, ...],
    limit: int | None,
    minutes: float | None,
    shots: int,
    seed: int,
    is_chat: bool,
    gate: Path | None,
    out: tuple[Path, ...],
    store: str,
    dtype: str | None,
    adapter: str | None,
    at_once: int,
    retries: int,
    is_json: bool,
    is_list: bool,
) -> None:
    """Examine a MODEL in one or more TASKs: names (see --list), .toml files or .py files of your own.

    MODEL is one of this machine, or any server of OpenAI's API: http://host:port/v1#name (key: HANLIN_API_KEY).

    Every figure has a standard error and a signature. Answers are kept as they come: an exam that was stopped goes on
    where it was, and hanlin compare holds what was found of two models against each other.
    """
    if is_list:
        _list()
        return
    if model is None or not tasks:
        raise ConfigError("there is no model or no task", "hanlin eval MODEL TASK…; hanlin eval --list shows tasks")
    from hanlin.eval.tell import check

    for place in out:
        check(place)
    wanted, bounds = _tasks(tasks, data), None
    if gate is not None:
        from hanlin.eval.gate import Gate

        bounds = Gate.read(gate)
    from hanlin.eval.exam import Progress, examine
    from hanlin.eval.store import Store

    subject, kept, results = _subject(model, dtype, adapter, is_chat, at_once, retries), Store(store), []
    for one in wanted:
        for step in examine(subject, one, kept, limit=limit, shots=shots, minutes=minutes or math.inf, seed=seed):
            if isinstance(step, Progress):
                _progress(one.name, step)
            else:
                results.append(step)
                for what in step.left_out:
                    click.echo(f"left out: {what}", err=True)
    _tell(results, is_json, out)
    if bounds is not None and not _holds(bounds, results):
        ctx.exit(1)


def _holds(bounds: Any, results: Sequence[Any]) -> bool:
    """Tells which bounds are broken."""
    broken = bounds.broken(results)
    for line in broken or [f"all {bounds.count} bounds hold"]:
        click.echo(f"gate: {line}", err=True)
    return not broken


def _tasks(tasks: Sequence[str], data: Sequence[str]) -> list[Any]:
    """The tasks, with the data that are named for them."""
    from hanlin.eval.task import task

    places = dict(_pair(one) for one in data)
    unused = sorted(places.keys() - set(tasks))
    if unused:
        raise ConfigError(f"--data names {unused[0]}, which is not asked", "name it among the tasks too")
    return [task(name, places.get(name, "")) for name in dict.fromkeys(tasks)]


def _subject(model: str, dtype: str | None, adapter: str | None, is_chat: bool, at_once: int, retries: int) -> Any:
    from hanlin.eval.endpoint import Endpoint, is_address

    if is_address(model):
        if dtype is not None:
            raise ConfigError(f"--dtype {dtype} is for a model of this machine", f"leave it out: {model} has its own")
        if adapter is not None:
            raise ConfigError(f"--adapter {adapter} is for a model of this machine", f"load it at {model}")
        return Endpoint(model, is_chat, at_once, retries)
    from hanlin.cli.models import open_model
    from hanlin.eval.subject import Local

    return Local(open_model(model, dtype, adapter), is_chat)


def _pair(text: str) -> tuple[str, str]:
    name, sign, path = text.partition("=")
    if not sign or not name or not path:
        raise ConfigError(f"--data {text} names no task and path", "write --data TASK=PATH")
    return name, path


def _progress(name: str, step: Any) -> None:
    """A line that replaces itself in a terminal; elsewhere only what was known already is told."""
    if sys.stderr.isatty():
        text = "" if step.done == step.total else f"{name}: {step.done:,} of {step.total:,}, {step.seconds:.0f} s"
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
    elif step.known and not step.seconds:
        click.echo(f"{name}: {step.known:,} of {step.total:,} answers are known already", err=True)


def _list() -> None:
    from hanlin.core.plugins import names
    from hanlin.eval.task import FOLDER, task

    for name in names(FOLDER):
        one = task(name, "yours")
        own = one.licence or "on data of your own"
        click.echo(f"{name:18} {one.kind:7} {', '.join(one.metrics):45} {own}")


def _tell(results: Sequence[Any], is_json: bool, out: Sequence[Path]) -> None:
    from hanlin.eval.tell import as_json, as_markdown, write

    click.echo(json.dumps(as_json(results), ensure_ascii=False, indent=2) if is_json else as_markdown(results).rstrip())
    for place in out:
        for path in write(results, place):
            click.echo(f"{path} written", err=True)
