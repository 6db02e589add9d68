"""Files, folders and patterns in; their text in blocks out, one file after the other, in memory that does not grow.

Plain text in UTF-8, and .jsonl with the text in one column. In a folder, what is no text (images, archives) is left
out, and said; a file that is named is read or is an error.
"""

import glob
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from hanlin.core.errors import DataError, did_you_mean, shown
from hanlin.core.home import expanded

ROWS = (".jsonl", ".ndjson")
SNIFFED = 4096
ROW_BYTES = 64 << 20
"""The longest row of a .jsonl file."""


@dataclass
class Corpus:
    """Text on disk."""

    files: tuple[Path, ...]
    """What is read, in this order; - is standard input."""
    column: str = "text"
    """Where the text stands in a .jsonl file."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Files of folders that are no text, by suffix."""
    bytes: int = 0
    """Read so far."""

    @property
    def size(self) -> int:
        """Bytes of all files, where they are known."""
        return sum(file.stat().st_size for file in self.files if file.is_file())

    def blocks(self) -> Iterator[str]:
        """The text; a line break stands between files, and between rows.

        Raises:
            DataError: a file is not UTF-8 text, or a row has no text; the message has the place.
        """
        for file in self.files:
            if str(file) == "-":
                yield from self._text(sys.stdin.buffer, "standard input")
                continue
            try:
                source = file.open("rb")
            except OSError as error:
                raise DataError(f"{file} cannot be read: {error.strerror}", "check its permissions") from None
            with source:
                is_rows = file.suffix.lower() in ROWS
                yield from (self._rows if is_rows else self._text)(source, str(file))

    def _text(self, source: BinaryIO, name: str) -> Iterator[str]:
        from hanlin.text.long import decoded

        last = "\n"
        for block in decoded(source.read, name):
            if "\0" in block:
                raise DataError(f"{name} is not text: it has a zero byte", "leave it out, or give its text")
            self.bytes += len(block.encode())
            yield block
            last = block
        if not last.endswith("\n"):
            yield "\n"

    def _rows(self, source: BinaryIO, name: str) -> Iterator[str]:
        number = 0
        while line := source.readline(ROW_BYTES):
            number += 1
            if len(line) == ROW_BYTES:
                raise DataError(f"{name}:{number} is longer than {ROW_BYTES >> 20} MB", "give it as plain text")
            self.bytes += len(line)
            if line.strip():
                yield _cell(line, self.column, f"{name}:{number}") + "\n"


def _cell(line: bytes, column: str, where: str) -> str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON: {error}", "mend that line, or give plain text as .txt") from None
    if not isinstance(row, dict):
        raise DataError(f"{where} holds {shown(row)}, not an object", 'write rows as {"text": "…"}')
    if column not in row:
        raise DataError(f"{where} has no column {column!r}", f"--column NAME; {did_you_mean(column, map(str, row))}")
    if not isinstance(row[column], str):
        raise DataError(f"{where}: {column} is {shown(row[column])}, not text", "name the column of the text: --column")
    return row[column]


def corpus(names: Sequence[str], column: str = "text") -> Corpus:
    """What the names mean: files, folders with all the text in them, patterns such as 'docs/**/*.md'.

    Raises:
        DataError: one of them is not there, or a folder has no text in it.
    """
    files: list[Path] = []
    skipped: Counter[str] = Counter()
    for name in names:
        path = expanded(name) if name.startswith("~/") else Path(name)
        if name == "-" or path.is_file() or path.is_fifo():
            files.append(path)
        elif path.is_dir():
            texts = [file for file in _inside(path) if _is_text(file, skipped)]
            if not texts:
                kinds = ", ".join(f"{count} {suffix}" for suffix, count in skipped.most_common(3)) or "nothing"
                raise DataError(f"{name} has no text in it: {kinds}", "name a folder of text files")
            files += texts
        else:
            found = sorted(Path(hit) for hit in glob.glob(str(path), recursive=True))  # noqa: PTH207
            found = [file for file in found if file.is_file()]
            if not found:
                raise DataError(f"there is no file {shown(name)}", "name text files, folders or a pattern in quotes")
            files += found
    return Corpus(tuple(dict.fromkeys(files)), column, skipped)


def _inside(path: Path) -> Iterator[Path]:
    for file in sorted(path.rglob("*")):
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts):
            yield file


def _is_text(file: Path, skipped: Counter[str]) -> bool:
    """Whether a file has no zero byte where it begins; what is empty has no text either."""
    try:
        with file.open("rb") as source:
            head = source.read(SNIFFED)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}", "check its permissions") from None
    if not head or b"\0" in head:
        skipped[file.suffix or "without suffix" if head else "empty"] += 1
        return False
    return True
