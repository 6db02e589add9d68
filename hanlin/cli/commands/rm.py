"""Remove models from the store."""

import sys

import click


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--yes", is_flag=True, help="Do not ask first.  [default: ask, where there is a terminal to answer from]")
def command(names: tuple[str, ...], yes: bool) -> None:
    """Remove models from the store, and what unfinished pulls of them left; says how many bytes are free again.

    Only the store is touched: a model used from its own path stays, and so does the original of one that was copied in.
    """
    from hanlin.model.store import removable, remove

    sizes = {name: removable(name) for name in dict.fromkeys(names)}
    if not yes and _can_answer():
        whole = ", ".join(f"{name} ({size / 1e6:,.1f} MB)" for name, size in sizes.items())
        if not click.confirm(f"remove {whole}?", err=True):
            click.echo("nothing was removed", err=True)
            return
    for name in sizes:
        freed = remove(name)
        click.echo(f"removed {name}: {freed / 1e6:,.1f} MB are free again")


def _can_answer() -> bool:
    return sys.stdin.isatty()
