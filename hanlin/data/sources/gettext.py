"""Translations as programs carry them: gettext's compiled catalogues (.mo) and their sources (.po).

A row has `source`, `translation` and `context`, which is empty where there is none; of an entry with plurals, the
singular and the first form. Entries without a translation of their own (none, one that is marked as a guess, or the
source once more) are left out, and `notes` counts them. Formats:
https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html and …/PO-Files.html
"""

import gettext
import io
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from hanlin.core.errors import DataError, shown
from hanlin.data.example import Row
from hanlin.data.opened import BLOCK_BYTES, LONGEST_LINE, File, lines, suffix, unpacked, wrong
from hanlin.data.settings import SourceSettings

SUFFIXES = (".mo", ".po")
MOST_BYTES = 1 << 26
"""Of a .mo file, which is read as a whole."""
MAGIC = 0x950412DE
STRING = re.compile(r'(?:(msgctxt|msgid_plural|msgid|msgstr)(?:\[(\d+)\])?\s*)?"((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(r"\\(.)")
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class Entry(NamedTuple):
    """One of a catalogue's texts; `line` is that of a .po file, else its number."""

    context: str
    source: str
    translation: str
    line: int

    @property
    def is_translated(self) -> bool:
        """Whether it says anything that the source does not."""
        return bool(self.source.strip() and self.translation.strip()) and self.translation != self.source


def rows(file: File, _: SourceSettings) -> Iterator[Row | DataError]:
    """The translated entries of a file."""
    try:
        for entry in entries(file):
            if entry.is_translated:
                value = {"source": entry.source, "translation": entry.translation, "context": entry.context}
                yield Row(value, file.name, entry.line)
    except DataError as error:
        yield error


def notes(files: Sequence[File]) -> list[str]:
    """How many entries of these files are left out, if any."""
    left = total = 0
    for file in files:
        with suppress(DataError):  # which `rows` tells
            for entry in entries(file):
                total += 1
                left += not entry.is_translated
    if not left:
        return []
    where = files[0].name + (f" and {len(files) - 1:,} more" if files[1:] else "")
    return [
        f"{where}: {left:,} of {total:,} entries left out, without translation or with one that is the source itself"
    ]


def entries(file: File) -> Iterator[Entry]:
    """All entries of a catalogue but its head.

    Raises:
        DataError: the file is no catalogue, or is damaged.
    """
    return _compiled(file) if suffix(file.name) == ".mo" else _plain(file)


def _compiled(file: File) -> Iterator[Entry]:
    try:
        content = bytearray()
        with unpacked(file.path) as source:
            while block := source.read(BLOCK_BYTES):
                content += block
                if len(content) > MOST_BYTES:
                    raise wrong(file, 1, f"the file has more than {MOST_BYTES:,} bytes", "divide it, or leave it out")
        _weigh(bytes(content))
        found = vars(gettext.GNUTranslations(io.BytesIO(content)))["_catalog"]  # there is no other way to list it
    except (OSError, EOFError, zlib.error, struct.error, ValueError, LookupError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())[:200]
        what = f"the file is no compiled catalogue of gettext, or is damaged: {reason}"
        raise wrong(file, 1, what, "compile it again with msgfmt, or leave it out") from None
    for number, (key, translation) in enumerate(found.items(), 1):
        text, form = key if isinstance(key, tuple) else (key, 0)
        if text and form == 0:  # the empty one is the head
            context, _, source = text.rpartition("\4")
            yield Entry(context, source, translation, number)


def _weigh(content: bytes) -> None:
    """Few bytes may name the same long text many times over: all texts together are no longer than the file.

    Raises:
        ValueError: they are, or the file begins like none, or ends before its tables do.
    """
    order = next((order for order in "<>" if content[:4] == struct.pack(f"{order}I", MAGIC)), None)
    if order is None:
        raise ValueError(f"it begins with {content[:4]!r}" if content else "it is empty")
    count, *tables = struct.unpack(f"{order}3I", content[8:20])
    lengths = [np.frombuffer(content, f"{order}u4", 2 * count, table)[::2] for table in tables]
    if sum(int(part.sum(dtype=np.int64)) for part in lengths) > len(content):
        raise ValueError(f"its texts are longer than its {len(content):,} bytes")


def _plain(file: File) -> Iterator[Entry]:
    held: dict[str, list[str]] = {}
    first, part, length, is_guess = 1, "", 0, False
    for line in lines(file):
        text = line.text.strip()
        if not text or text.startswith("#"):
            if "msgstr" in held:
                yield from _entry(held, first, is_guess)
                held, part, length, is_guess = {}, "", 0, False
            is_guess |= text.startswith("#,") and "fuzzy" in text
            continue
        match = STRING.fullmatch(text)
        if match is None or not (match[1] or part):
            what = f"{shown(text, 60)} is no line of a catalogue"
            raise wrong(file, line.number, what, 'write keywords and texts as msgid "…", comments after #')
        if match[1]:
            if match[1] in ("msgctxt", "msgid") and "msgstr" in held:
                yield from _entry(held, first, is_guess)
                held, length, is_guess = {}, 0, False
            first = first if held else line.number
            part = match[1] + (match[2] if match[2] and int(match[2]) else "")
        length += len(match[3])
        if length > LONGEST_LINE:
            raise wrong(file, first, f"the entry has more than {LONGEST_LINE:,} characters", "leave it out")
        held.setdefault(part, []).append(ESCAPE.sub(lambda found: ESCAPES.get(found[1], found[1]), match[3]))
    if held:
        yield from _entry(held, first, is_guess)


def _entry(held: dict[str, list[str]], line: int, is_guess: bool) -> Iterator[Entry]:
    context, source, translation = ("".join(held.get(part, ())) for part in ("msgctxt", "msgid", "msgstr"))
    if source:  # that of the head is empty
        yield Entry(context, source, "" if is_guess else translation, line)
