"""WARC: what crawlers keep. Answers that are pages or plain text, with their address and time (ISO 28500)."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hanlin.core.errors import DataError
from hanlin.data.document import Document, Refused
from hanlin.data.documents._pages import LONGEST_PAGE, page
from hanlin.data.opened import File
from hanlin.data.settings import SourceSettings

SUFFIXES = (".warc",)
PAGES = ("text/html", "application/xhtml+xml")


def documents(file: File, _: SourceSettings) -> Iterator[Document | Refused]:
    """The answers of a file that hold text; others, such as pictures, are no documents."""
    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed

    logging.getLogger("warcio").setLevel(logging.CRITICAL)
    number = 0
    try:
        with file.path.open("rb") as raw:
            for record in ArchiveIterator(raw):
                if record.rec_type not in ("response", "conversion", "resource"):
                    continue
                kind = _kind(record)
                if kind not in PAGES and kind != "text/plain":
                    continue
                number += 1
                address = str(record.rec_headers.get_header("WARC-Target-URI") or f"{file.name}#{number}")
                try:
                    yield _document(record, kind, address)
                except (DataError, UnicodeDecodeError) as error:
                    yield Refused(address, 1, getattr(error, "what", str(error)))
    except (ArchiveLoadFailed, OSError, EOFError) as error:
        yield Refused(file.name, number + 1, f"the file is no WARC, or is damaged: {error}"[:300])


def _kind(record: Any) -> str:
    headers = record.http_headers or record.rec_headers
    return str(headers.get_header("Content-Type") or "").partition(";")[0].strip().lower()


def _document(record: Any, kind: str, address: str) -> Document:
    raw = record.content_stream().read(LONGEST_PAGE + 1)
    time = str(record.rec_headers.get_header("WARC-Date") or "")
    status = record.http_headers.get_statuscode() if record.http_headers else "200"
    if status != "200":
        raise DataError(f"the server answered with {status}", "leave it out")
    if kind == "text/plain":
        if len(raw) > LONGEST_PAGE:
            raise DataError(f"a text of over {LONGEST_PAGE:,} bytes", "leave it out")
        return Document(raw.decode("utf-8"), path=address, time=time)
    found = page(raw, address)
    return replace(found.document(), path=address, time=time or found.time)
