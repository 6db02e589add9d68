"""Records of a table or of lines, each with a text: JSON lines, CSV, Parquet, Arrow; columns as for training."""

from collections.abc import Iterator
from dataclasses import replace

from hanlin.core.errors import DataError
from hanlin.core.plugins import find
from hanlin.data.columns import dressed
from hanlin.data.document import Document, Refused
from hanlin.data.formats import text
from hanlin.data.opened import File, suffix
from hanlin.data.settings import SourceSettings

KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
SUFFIXES = tuple(KINDS)
ABOUT = ("title", "licence", "license", "time", "language")


def documents(file: File, settings: SourceSettings) -> Iterator[Document | Refused]:
    """The records of a file; those that have no text are refused."""
    rows = find("hanlin.data.sources", KINDS[suffix(file.name)]).rows(file, settings)
    for number, row in enumerate(rows, 1):
        try:
            if isinstance(row, DataError):
                raise row
            read = text.read(dressed(row, settings), settings)
        except DataError as error:
            yield Refused(file.name, number, error.what)
            continue
        title, licence, license_, time, language = (str(row.value.get(key) or "") for key in ABOUT)
        about = {"title": title, "licence": licence or license_, "time": time, "language": language}
        yield replace(Document(read.text, path=file.name, number=number), **about)
