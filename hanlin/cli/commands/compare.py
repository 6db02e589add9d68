"""Is one model really better than another? Kept exams, item by item, with a test that says when nothing is shown."""

import json
from dataclasses import asdict

import click

from hanlin.core.errors import ConfigError


@click.command()
@click.argument("models", metavar="A B…", nargs=-1)
@click.option("--task", "only", multiple=True, metavar="TASK", help="These tasks only  [default: all that both took]")
@click.option("--examples", type=click.IntRange(0, 5), default=0, show_default=True, help="Items won and lost to show.")
@click.option("--store", "where", metavar="FILE", default="", help="Exams kept in FILE by hanlin eval --store.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object.")
def command(models: tuple[str, ...], only: tuple[str, ...], examples: int, where: str, is_json: bool) -> None:
    """Hold model A against one or more others, in the exams that hanlin eval has kept of both.

    The test swaps the two models' answers at random, item by item (items that share a passage together), and counts how
    often chance differs as much; p-values of one call are corrected together (Holm). One model with weights in int8 is
    another than with float32: name it as hanlin eval told it, smollm2-135m-instruct:int8.
    """
    if len(models) < 2:
        raise ConfigError(f"{len(models)} models cannot be compared", "name two or more: hanlin compare A B")
    from hanlin.eval.compare import compare
    from hanlin.eval.store import Store
    from hanlin.eval.task import task

    store, told = Store(where), []
    first, *others = models
    kept = store.models()
    for name in models:
        if name not in kept:
            fix = f"there are {', '.join(kept)}" if kept else "ask some: hanlin eval MODEL TASK"
            raise ConfigError(f"no exam of {name} is kept", fix)
    mine = store.last(first)
    for other in others:
        theirs = store.last(other)
        both = [one for one in mine if one in theirs and (not only or mine[one].task in only)]
        if not both:
            asked = f"hanlin eval {other} {' '.join(only) or 'TASK'}"
            raise ConfigError(f"{first} and {other} took no exam with the same settings", f"ask both: {asked}")
        for one in both:
            a, b = mine[one], theirs[one]
            source = a.settings.get("file") or a.task
            for found in compare(a, b, task(source, a.settings["data"]).judges()):
                told.append((first, other, found))
                if not is_json:
                    _print(found, first, other)
                    for kind, places in list(found.examples.items()) if not found.group else []:
                        for place in places[:examples]:
                            click.echo(f"    {kind}: {a.samples[place].id}  {a.samples[place].prompt[-100:]!r}")
    if is_json:
        rows = [{"a": a, "b": b, **asdict(found)} for a, b, found in told]
        click.echo(json.dumps({"comparisons": rows}, ensure_ascii=False, indent=2))


def _print(one, first: str, other: str) -> None:
    where = f"{one.task} {one.metric}" + (f" [{one.group}]" if one.group else "")
    click.echo(f"{where}: {first} {one.found.a:.4f}, {other} {one.found.b:.4f}")
    click.echo(f"    {one.verdict}")
    click.echo(f"    {other}: {one.wins:,} won, {one.losses:,} lost, {one.ties:,} alike")
    if one.left_out:
        click.echo(f"    {one.left_out:,} items that only one of the two was asked are left out")
