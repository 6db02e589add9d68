"""List the models in the store, and check them."""

import json
import sys
from typing import Any

import click

WIDE = 400
"""Columns where nobody looks at a terminal: no line is ever cut."""


@click.command()
@click.option("--json", "is_json", is_flag=True, help="One JSON object with every detail.  [default: a table]")
@click.option(
    "--verify",
    is_flag=True,
    help="Read every byte again and compare it with its checksum; exits with 2 if any differs.  [default: sizes only]",
)
@click.pass_context
def command(ctx: click.Context, is_json: bool, verify: bool) -> None:
    """The models in the store: family, format, size, source and commit, when pulled and when last used."""
    from hanlin.core.errors import StoreError
    from hanlin.model.store import stored, unfinished

    found, begun = [model.as_object() for model in stored()], unfinished()
    for model in found if verify else ():
        if not model["problem"]:
            try:
                _verify(model["name"])
            except StoreError as error:
                model["problem"] = error.what
        model["is_verified"] = not model["problem"]
    if is_json:
        parts = [{"name": name, "bytes": size} for name, size in begun]
        click.echo(json.dumps({"models": found, "unfinished": parts}, ensure_ascii=False, indent=2))
    else:
        _print(found, begun)
    broken = [model for model in found if model["problem"]]
    for model in broken:
        name = model["name"]
        click.echo(f"{model['problem']}\n  fix: hanlin pull {name} --force, or hanlin rm {name}", err=True)
    ctx.exit(2 if broken else 0)


def _verify(name: str) -> None:
    from hanlin.cli.models import show
    from hanlin.model.store import verify

    show(verify(name))


def _print(found: list[dict[str, Any]], begun: list[tuple[str, int]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from hanlin.cli.page import page
    from hanlin.model.store.place import root

    console = page() if sys.stdout.isatty() else Console(highlight=False, width=WIDE)
    if not found and not begun:
        console.print(Text(f"no models in {root()}; hanlin pull fetches the default one"))
    if found:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for column in ("name", "family", "size", "source", "pulled", "last used", "state"):
            is_long = column in ("name", "source")
            align = "right" if column == "size" else "left"
            table.add_column(column, justify=align, overflow="fold", no_wrap=not is_long)
        for model in found:
            table.add_row(*map(Text, _row(model)))
        console.print(table)
    for name, size in begun:
        note = f"unfinished: {name}, {size / 1e6:,.1f} MB so far; hanlin pull goes on, hanlin rm drops it"
        console.print(Text(note, style="yellow"))


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    state = "damaged" if model["problem"] else "verified" if model.get("is_verified") else "ok"
    if "source" not in model:
        return model["name"], "", "", "", "", "", state
    revision = (model["revision"] or "")[:12]
    source = f"{model['source']}:{model['origin']}"
    if revision and not source.endswith(f"=={revision}"):
        source += f"@{revision}"
    size = f"{model['bytes'] / 1e6:,.1f} MB"
    days = model["pulled_at"][:10], model["used_at"][:10]
    return model["name"], f"{model['family']} {model['format']}", size, source, *days, state
