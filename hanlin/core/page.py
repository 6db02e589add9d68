"""Blocks of text, tables and pictures in; one self-contained HTML page out: offline, light and dark, English and
Chinese in one file. Every report of the house is drawn by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined

from hanlin.core.run import replacing


class Label(NamedTuple):
    """A word in both languages."""

    en: str
    zh: str


@dataclass(frozen=True)
class Picture:
    """A picture, and what it shows in words."""

    title: Label
    svg: str
    alt: str
    kind: str = "picture"


@dataclass(frozen=True)
class Grid:
    """A table; `best` marks one cell of a row."""

    head: tuple[Label | str, ...]
    rows: tuple[tuple[Label | str, ...], ...]
    best: tuple[int | None, ...] = ()
    kind: str = "grid"


@dataclass(frozen=True)
class Words:
    """Text as it stands, under a line that says what it is."""

    title: Label
    text: str
    kind: str = "words"


@dataclass(frozen=True)
class Entry:
    """One item to leaf to: what it is filed under, its line in the list, and what is read when it is opened."""

    filed: tuple[str, ...]
    line: str
    parts: tuple[tuple[Label, str], ...]


@dataclass(frozen=True)
class Browser:
    """Many items, of which the reader sees those that he asks for, a page at a time."""

    title: Label
    filed: tuple[Label, ...]
    """What items are filed under; `Entry.filed` has one for each."""
    entries: tuple[Entry, ...]
    kind: str = "browser"

    @property
    def data(self) -> list[tuple[tuple[str, ...], str, tuple[tuple[Label, str], ...]]]:
        """As the page's script reads it."""
        return [(entry.filed, entry.line, entry.parts) for entry in self.entries]


Block = Picture | Grid | Words | Browser
Section = tuple[Label, Sequence[Block]]


def render(title: str, lead: Label, sections: Sequence[Section]) -> str:
    """The page as HTML. All text is escaped; pictures are inlined as SVG."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.tests["label"] = lambda value: isinstance(value, Label)
    template = environment.from_string(files("hanlin.core").joinpath("page.html").read_text("utf-8"))
    return template.render(title=title, lead=lead, sections=sections)


def shown(value: Any) -> str:
    """A figure or setting as a table has it."""
    if value is None:
        return "–"
    if isinstance(value, float):
        size = abs(value)
        return f"{value:,.1f}" if 100 <= size < 1e9 else f"{value:.4f}" if 0.01 <= size < 100 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def write(path: Path, page: str) -> Path:
    """A page, whole or not at all; returns its path.

    Raises:
        StoreError: it cannot be written.
        CapacityError: the disk is full.
    """
    with replacing(path) as sink:
        sink.write(page.encode(errors="replace"))
    return path
