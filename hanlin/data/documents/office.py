"""PDF, Word, PowerPoint, Excel and EPUB: their text as markdown, read by markitdown in a process apart."""

from collections.abc import Iterator
from functools import cache

from hanlin.core.errors import DataError
from hanlin.data.apart import Apart
from hanlin.data.document import Document, Refused
from hanlin.data.opened import File, suffix
from hanlin.data.settings import SourceSettings

SUFFIXES = (".pdf", ".docx", ".pptx", ".xlsx", ".epub")


@cache
def reader() -> Apart:
    """One for all files of a process."""
    return Apart("hanlin.data.converted")


def documents(file: File, _: SourceSettings) -> Iterator[Document | Refused]:
    """The text of a file."""
    try:
        found = reader().call("read", path=str(file.path), ending=suffix(file.name))
    except DataError as error:
        yield Refused(file.name, 1, error.what)
        return
    yield Document(found["text"], path=file.name, title=found["title"])
