"""Plain text and markdown: a file is a document, or each of its lines or stretches is (`split`)."""

from collections.abc import Iterator

from hanlin.core.errors import DataError
from hanlin.data.document import Document, Refused
from hanlin.data.opened import File
from hanlin.data.settings import SourceSettings
from hanlin.data.sources import text

SUFFIXES = text.SUFFIXES


def documents(file: File, settings: SourceSettings) -> Iterator[Document | Refused]:
    """The texts of a file."""
    for number, row in enumerate(text.rows(file, settings), 1):
        if isinstance(row, DataError):
            yield Refused(file.name, number, row.what)
        else:
            yield Document(row.value["text"], path=file.name, number=number)
