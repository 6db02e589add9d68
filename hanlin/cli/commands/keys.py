"""Make, list and remove the keys that open a server."""

import time
from pathlib import Path
from typing import Any

import click

from hanlin.serve.keys import SCOPES, Keys

FILE = click.option(
    "--file", "path", metavar="FILE", type=Path, help="File of keys  [default: keys.json in HANLIN_HOME]"
)


@click.group()
def command() -> None:
    """Keys for `hanlin serve`. Once there is one, nothing but /health and /ready answers without a key.

    \b
    hanlin keys add alice --requests-per-minute 60
    hanlin keys add prometheus --scope metrics
    hanlin keys list
    hanlin keys remove alice
    """


@command.command()
@click.argument("name")
@click.option("--scope", "scopes", type=click.Choice(SCOPES), multiple=True, help="What it opens  [default: infer]")
@click.option("--requests-per-minute", type=click.IntRange(1), help="Most requests  [default: no limit]")
@click.option("--tokens-per-minute", type=click.IntRange(1), help="Most tokens  [default: no limit]")
@click.option("--days", type=click.FloatRange(0, min_open=True), help="How long it opens  [default: for ever]")
@FILE
def add(name: str, scopes: tuple[str, ...], path: Path | None, days: float | None, **limits: Any) -> None:
    """Make a key and print it. It is kept nowhere else: only its hash is."""
    given = {limit: value for limit, value in limits.items() if value is not None}
    if days is not None:
        given["expires"] = time.time() + days * 86_400
    secret = Keys(path).add(name, **({"scopes": scopes} if scopes else {}), **given)
    click.echo(secret)
    click.echo("this is the only time it is shown; running servers know it from now on", err=True)


@command.command("list")
@FILE
def list_(path: Path | None) -> None:
    """The keys there are, by name; never the keys themselves."""
    keys = Keys(path)
    if not keys.all:
        click.echo(f"no keys in {keys.path}: a server on this machine's own address is open to it")
    for key in keys.all:
        limits = [f"{key.requests_per_minute:,} requests/min"] if key.requests_per_minute else []
        limits += [f"{key.tokens_per_minute:,} tokens/min"] if key.tokens_per_minute else []
        if key.expires is not None:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(key.expires))
            limits.append(f"expired {when}" if key.is_over else f"until {when}")
        click.echo(f"{key.name}\t{', '.join(key.scopes)}\t{', '.join(limits) or 'no limit'}")


@command.command()
@click.argument("name")
@FILE
def remove(name: str, path: Path | None) -> None:
    """Forget a key: who has it is shut out at once, in the midst of a stream, too."""
    Keys(path).remove(name)
    click.echo(f"{name} is forgotten")
