"""A source in, its examples out: files are found, rows read, their form told from their columns and said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from hanlin.core.errors import ConfigError, DataError
from hanlin.core.plugins import find, names
from hanlin.data.columns import dressed
from hanlin.data.example import Example, Row
from hanlin.data.files import files, kind_of
from hanlin.data.opened import File
from hanlin.data.settings import SourceSettings

FORMATS = "hanlin.data.formats"
SNIFFED = 32
"""Rows that are looked at to tell the form."""


@dataclass(frozen=True)
class Read:
    """An example and the row it was read from."""

    row: Row
    example: Example


@dataclass(frozen=True)
class Found:
    """What a source looks like."""

    files: int
    columns: tuple[str, ...]
    """Of the first row."""
    format: str
    reason: str
    """Why this form, in words."""
    examples: tuple[Read, ...]
    """The first three."""
    wrong: tuple[DataError, ...] = ()
    """What was wrong with the first rows."""


def rows(source: SourceSettings, these: Sequence[File] | None = None) -> Iterator[Row | DataError]:
    """Rows of all files, or of these, in order, with the columns that the settings add; and what is wrong with others.

    Raises:
        DataError: there is no file to read.
    """
    for file in files(source) if these is None else these:
        for row in find("hanlin.data.sources", kind_of(file)).rows(file, source):
            if isinstance(row, DataError):
                yield row
                continue
            try:
                yield dressed(row, source)
            except DataError as error:
                yield error


def sniffed(first: Sequence[Row], source: SourceSettings, takes: Sequence[type]) -> tuple[str, str]:
    """The form of these rows that gives one of the kinds of example wanted, and why this one.

    Raises:
        DataError: none fits.
        ConfigError: `format` names one that gives nothing wanted.
    """
    forms = {name: find(FORMATS, name) for name in names(FORMATS)}
    wanted = " or ".join(kind.__name__.lower() for kind in takes)
    if source.format != "auto":
        form = find(FORMATS, source.format)
        if takes and not set(form.KINDS) & set(takes):
            what = f'format = "{source.format}" gives no {wanted}, which the objective learns from'
            able = sorted(name for name, other in forms.items() if set(other.KINDS) & set(takes))
            raise ConfigError(what, f"one of: {', '.join(able)}")
        return source.format, "the run file says so"
    able = sorted(
        (name for name, form in forms.items() if not takes or set(form.KINDS) & set(takes)),
        key=lambda name: forms[name].RANK,
    )
    for name in able:
        if first and all(forms[name].matches(row.value, source) for row in first):
            return name, f"all of the first {len(first)} rows have {forms[name].COLUMNS}"
    columns = ", ".join(first[0].value) if first else "none"
    where = f"{first[0].file}, line {first[0].line}" if first else source.path
    needed = "; ".join(f"{name}: {forms[name].COLUMNS}" for name in able)
    raise DataError(f"{where}: no {wanted or 'example'} can be made of the columns {columns}", f"have {needed}")


def examples(
    source: SourceSettings, takes: Sequence[type], limit: int | None = None, these: Sequence[File] | None = None
) -> Iterator[Read | DataError]:
    """Examples of the kinds wanted, and what is wrong with rows that give none, in their order.

    Raises:
        DataError: there is no file, or no form fits.
        ConfigError: see `sniffed`.
    """
    source_rows = islice(rows(source, these), limit)
    head = list(islice(source_rows, SNIFFED))
    good = [row for row in head if isinstance(row, Row)]
    if not good:
        yield from (row for row in chain(head, source_rows) if isinstance(row, DataError))
        return
    form = find(FORMATS, sniffed(good, source, takes)[0])
    for row in chain(head, source_rows):
        if isinstance(row, DataError):
            yield row
            continue
        try:
            example = form.read(row, source)
            if takes and not isinstance(example, tuple(takes)):
                wanted = " or ".join(kind.__name__.lower() for kind in takes)
                raise row.wrong(f"it is a {type(example).__name__.lower()}, not a {wanted}", "leave it out")
            yield Read(row, example)
        except DataError as error:
            yield error


def describe(source: SourceSettings, takes: Sequence[type] = ()) -> Found:
    """What is found in a source: its columns, its form and why, three examples.

    Raises:
        DataError: no file, or no row of it can be read, or no form fits.
        ConfigError: see `sniffed`.
    """
    found = files(source)
    head = list(islice(rows(source, found), SNIFFED))
    good = [row for row in head if isinstance(row, Row)]
    wrong = tuple(row for row in head if isinstance(row, DataError))
    if not good:
        raise wrong[0] if wrong else DataError(f"{source.path} has no rows", "give files with something in them")
    name, reason = sniffed(good, source, takes)
    read = [item for item in islice(examples(source, takes, SNIFFED, found), 3) if isinstance(item, Read)]
    return Found(len(found), tuple(good[0].value), name, reason, tuple(read), wrong)
