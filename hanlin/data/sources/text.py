"""Plain text: a file is one text, or each line is, or each stretch between blank lines."""

import re
from collections.abc import Iterator

from hanlin.core.errors import DataError
from hanlin.data.example import Row
from hanlin.data.opened import File, Line, lines, wrong
from hanlin.data.settings import SourceSettings

SUFFIXES = (".txt", ".text", ".md", ".markdown", ".rst")
LONGEST_TEXT = 1 << 22
"""Characters of one text; a longer file becomes several, cut between paragraphs where there are any."""
BORDERS = (re.compile(r"\n\n+"), re.compile(r"\n"), re.compile(r"[.!?。！？] ?"), re.compile(r"\s"))


def rows(file: File, settings: SourceSettings) -> Iterator[Row | DataError]:
    """The texts of a file, blank ones left out."""
    by = {"file": _files, "line": _lines, "blank": _stretches}[settings.split]
    is_empty = True
    try:
        for line, text in by(lines(file)):
            if text.strip():
                is_empty = False
                yield Row({"text": text}, file.name, line)
    except DataError as error:
        yield error
        return
    if is_empty:
        yield wrong(file, 1, "the file is empty", "leave it out, or skip such with data.skip_bad_rows=true")


def _lines(source: Iterator[Line]) -> Iterator[tuple[int, str]]:
    for line in source:
        yield line.number, line.text.rstrip("\n")


def _stretches(source: Iterator[Line]) -> Iterator[tuple[int, str]]:
    first, held, length = 1, [], 0
    for line in source:
        is_blank = not line.text.strip()
        if held and (is_blank or length > LONGEST_TEXT):
            yield first, "".join(held).rstrip("\n")
            held, length = [], 0
        if not is_blank:
            first = first if held else line.number
            held.append(line.text)
            length += len(line.text)
    yield first, "".join(held).rstrip("\n")


def _files(source: Iterator[Line]) -> Iterator[tuple[int, str]]:
    first, held, length = 1, [], 0
    for line in source:
        held.append(line.text)
        length += len(line.text)
        while length > LONGEST_TEXT:
            text = "".join(held)
            end = border(text)
            yield first, text[:end]
            first += text.count("\n", 0, end)
            held, length = [text[end:]], len(text) - end
    yield first, "".join(held)


def border(text: str) -> int:
    """Where to cut a text that is too long: after the last paragraph, else line, sentence, word, or anywhere."""
    for kind in BORDERS:
        found = [match.end() for match in kind.finditer(text, LONGEST_TEXT // 2, LONGEST_TEXT)]
        if found:
            return found[-1]
    return LONGEST_TEXT
