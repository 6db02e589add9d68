"""What turns office files into text, called in a process apart (`hanlin.data.apart`): markitdown's converters."""

import zipfile
from typing import Any

from hanlin.core.errors import DataError

MOST_BYTES = 1 << 29
"""Of a document's parts, unpacked."""
MOST_TIMES = 200
"""How much larger than the file they may be, beyond the first 16 MiB: text packs twentyfold, a bomb a thousandfold."""


def read(path: str, ending: str) -> dict[str, Any]:
    """Text as markdown and title of a file.

    Raises:
        DataError: it is locked by a password, a bomb, damaged or without text.
    """
    from markitdown import MarkItDown, StreamInfo

    with open(path, "rb") as raw:  # noqa: PTH123 - read twice, and by a library that wants the file
        head = raw.read(8)
        if head.startswith(b"\xd0\xcf\x11\xe0") and ending in (".docx", ".pptx", ".xlsx"):
            raise DataError("it is locked by a password", "save it without")
        if head.startswith(b"PK"):
            _weighed(path)
        elif ending != ".pdf":
            raise DataError(f"it is no {ending} file", "check what it is")
        if ending == ".pdf":
            _unlocked(path)
        raw.seek(0)
        found = MarkItDown(enable_plugins=False).convert_stream(raw, stream_info=StreamInfo(extension=ending))
    text = str(found.markdown or "")
    if not text.strip():
        reason = "pictures of pages, which text recognition would have to read" if ending == ".pdf" else "nothing"
        raise DataError(f"it has no text but {reason}", "leave it out")
    return {"text": text, "title": str(found.title or "")}


def _weighed(path: str) -> None:
    from pathlib import Path

    try:
        with zipfile.ZipFile(path) as box:
            members = box.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError(f"it is damaged: {error}", "save it anew") from None
    total, size = sum(member.file_size for member in members), Path(path).stat().st_size
    if total > MOST_BYTES or total > max(16 << 20, MOST_TIMES * size):
        raise DataError(f"{size:,} bytes that unpack to {total:,}: a bomb", "leave it out")
    if any(member.flag_bits & 1 for member in members):
        raise DataError("it is locked by a password", "save it without")


def _unlocked(path: str) -> None:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise DataError("it is locked by a password", "save it without")
    except PyPdfError as error:
        raise DataError(f"it is damaged: {error}", "save it anew") from None
