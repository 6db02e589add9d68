"""Where tables are printed: standard output, taken to be wide enough that no figure of a table is cut."""

from rich.console import Console

NARROWEST = 80
"""Columns; a narrower terminal breaks the lines, which looks worse than Rich's own fit but keeps every figure."""


def page() -> Console:
    """A console on standard output, at least `NARROWEST` columns wide."""
    console = Console(highlight=False)
    console.width = max(console.width, NARROWEST)
    return console
