"""Plain text and markdown: a file is a document, or each of its lines or stretches is (`split`).

Beyond the encodings of training files (`hanlin.data.opened`), older ones are found out by charset_normalizer; the
document's facts say which.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from hanlin.core.errors import DataError
from hanlin.data.document import Document, Refused
from hanlin.data.opened import File, unpacked
from hanlin.data.settings import SourceSettings
from hanlin.data.sources import text

SUFFIXES = text.SUFFIXES
LONGEST_GUESSED = 64 << 20
"""Bytes of a file whose encoding is guessed: it is held in memory."""


def documents(file: File, settings: SourceSettings) -> Iterator[Document | Refused]:
    """The texts of a file."""
    for number, row in enumerate(text.rows(file, settings), 1):
        if not isinstance(row, DataError):
            yield Document(row.value["text"], path=file.name, number=number)
        elif number > 1 or " is not UTF-8" not in row.what:
            yield Refused(file.name, number, row.what)
        else:
            yield from _guessed(file, settings, row)


def _guessed(file: File, settings: SourceSettings, error: DataError) -> Iterator[Document | Refused]:
    import charset_normalizer

    with unpacked(file.path) as source:
        raw = source.read(LONGEST_GUESSED + 1)
    found = None if len(raw) > LONGEST_GUESSED or b"\0" in raw else charset_normalizer.from_bytes(raw).best()
    if found is None:
        yield Refused(file.name, 1, error.what)
        return
    with tempfile.TemporaryDirectory() as folder:
        again = File(Path(folder) / "text", file.name)
        again.path.write_text(str(found), "utf-8")
        for number, row in enumerate(text.rows(again, settings), 1):
            if isinstance(row, DataError):
                yield Refused(file.name, number, row.what)
            else:
                facts = {"encoding": found.encoding}
                yield Document(row.value["text"], path=file.name, number=number, facts=facts)
