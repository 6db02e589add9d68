"""Web pages that were saved: their main text."""

from collections.abc import Iterator
from dataclasses import replace

from hanlin.core.errors import DataError
from hanlin.data.document import Document, Refused
from hanlin.data.documents._pages import LONGEST_PAGE, page
from hanlin.data.opened import File, unpacked
from hanlin.data.settings import SourceSettings

SUFFIXES = (".html", ".htm", ".xhtml")


def documents(file: File, _: SourceSettings) -> Iterator[Document | Refused]:
    """The page of a file."""
    with unpacked(file.path) as source:
        raw = source.read(LONGEST_PAGE + 1)
    try:
        found = page(raw)
    except DataError as error:
        yield Refused(file.name, 1, error.what)
        return
    yield replace(found.document(), path=file.name)
