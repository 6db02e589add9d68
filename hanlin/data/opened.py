"""A file in, lines of text out: unpacked, decoded, and never more of it in memory than one line.

UTF-8, UTF-16 with its mark, and GB18030 are told apart by the beginning of a file; anything else is an error that
names the byte and the line.
"""

import bz2
import codecs
import gzip
import lzma
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from hanlin.core.errors import DataError

BLOCK_BYTES = 1 << 20
WIDEST_WINDOW = 1 << 27
"""Bytes that unpacking may look back: what `zstd --long` makes, and no more."""
LONGEST_LINE = 1 << 26
"""Characters; what is longer is no line of text but a mistake."""
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
PICTURES = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive or an office document",
}
PACKINGS = (".gz", ".zst", ".bz2", ".xz")


class File(NamedTuple):
    """A file to read, and what to call it to the user."""

    path: Path
    name: str


class Line(NamedTuple):
    """A line with its end, and its number; the first is 1."""

    number: int
    text: str


def wrong(file: File, line: int, what: str, fix: str) -> DataError:
    """An error that names file and line."""
    return DataError(f"{file.name}, line {line}: {what}", fix)


def suffix(name: str) -> str:
    """What a name ends in, in small letters, how it is packed left out: "a.JSONL.gz" → ".jsonl"."""
    name = name.lower()
    for packing in PACKINGS:
        name = name.removesuffix(packing)
    return Path(name).suffix


def unpacked(path: Path) -> Any:
    """A file of a file's bytes; of those inside, if it is packed by gzip, Zstandard, bzip2 or xz."""
    with path.open("rb") as raw:
        head = raw.read(6)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(path)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        import zstandard

        return zstandard.open(path, "rb", dctx=zstandard.ZstdDecompressor(max_window_size=WIDEST_WINDOW))
    if head.startswith(b"BZh"):
        return bz2.open(path)
    return lzma.open(path) if head == b"\xfd7zXZ\x00" else path.open("rb")


def damaged() -> tuple[type[Exception], ...]:
    """What reading a packed file raises where it is damaged or cut short."""
    import zstandard

    return EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError


def lines(file: File) -> Iterator[Line]:
    """The lines of a text file, ends included.

    Raises:
        DataError: the file is no text, cannot be read, or has a line of more than 64 million characters.
    """
    number, parts, length = 1, [], 0
    for block in texts(file):
        *ended, rest = block.split("\n")
        for text in ended:
            if length + len(text) > LONGEST_LINE:
                raise _too_long(file, number, length + len(text))
            yield Line(number, "".join([*parts, text, "\n"]))
            number, parts, length = number + 1, [], 0
        length += len(rest)
        if length <= LONGEST_LINE:
            parts.append(rest)
        else:
            parts.clear()  # only its length is still of interest
    if length > LONGEST_LINE:
        raise _too_long(file, number, length)
    if length:
        yield Line(number, "".join(parts))


def _too_long(file: File, number: int, length: int) -> DataError:
    what = f"the line has {length:,} characters; {LONGEST_LINE:,} are the most"
    return wrong(file, number, what, "break it up: one record to a line")


def texts(file: File) -> Iterator[str]:
    """The text of a file in blocks, line ends as \\n.

    Raises:
        DataError: the file is no text or cannot be read.
    """
    line, offset = 1, 0
    try:
        with unpacked(file.path) as source:
            head = source.read(BLOCK_BYTES)
            encoding = detected(file, head)
            decoder = codecs.getincrementaldecoder(encoding)()
            ends = _Ends()
            block = head
            while True:
                try:
                    text = decoder.decode(block, final=not block)
                except UnicodeDecodeError as error:
                    held = len(error.object) - len(block)  # of a character that began in the block before
                    raise _undecodable(file, error, line, offset - held) from None
                if "\0" in text:
                    number = line + text.count("\n", 0, text.index("\0"))
                    what = "the line holds a NUL character, which no text has"
                    raise wrong(file, number, what, "if it is UTF-16, save it as UTF-8; else leave the file out")
                yield from ends.turned(text, is_last=not block)
                line += text.count("\n")
                offset += len(block)
                if not block:
                    return
                block = source.read(BLOCK_BYTES)
    except (OSError, *damaged()) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise wrong(file, line, f"the file cannot be read: {reason}", "check or replace it") from None


class _Ends:
    """Turns \\r\\n and \\r into \\n across blocks."""

    def __init__(self) -> None:
        self.held = ""

    def turned(self, text: str, *, is_last: bool) -> Iterator[str]:
        text = self.held + text
        self.held = ""
        if text.endswith("\r") and not is_last:
            self.held, text = "\r", text[:-1]
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if text:
            yield text


def detected(file: File, head: bytes) -> str:
    """The encoding of a file that begins so.

    Raises:
        DataError: it begins like a picture or an archive, or in no encoding that we know.
    """
    for mark, kind in PICTURES.items():
        if head.startswith(mark):
            raise wrong(file, 1, f"the file is {kind}, not text", "leave it out, or take the text out of it first")
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError as error:
        if _is_chinese(head):
            return "gb18030"
        raise _undecodable(file, error, 1, 0) from None
    return "utf-8"


def foreign(files: Sequence[File]) -> list[str]:
    """What is to be said of files that are in another encoding than UTF-8, the first of each encoding by name."""
    found: dict[str, list[str]] = {}
    for file in files:
        if suffix(file.name) in (".parquet", ".mo"):
            continue
        with unpacked(file.path) as source, suppress(DataError, OSError, *damaged()):
            found.setdefault(detected(file, source.read(BLOCK_BYTES)), []).append(file.name)
    return [
        f"{names[0]}{f' and {len(names) - 1:,} more' if names[1:] else ''}: read as {encoding.upper()}"
        for encoding, names in found.items()
        if not encoding.startswith("utf-8")
    ]


def _is_chinese(head: bytes) -> bool:
    """Whether bytes read as GB18030 are text: of the letters beyond ASCII, most are common Chinese or its marks."""
    try:
        text = codecs.getincrementaldecoder("gb18030")().decode(head)
    except UnicodeDecodeError:
        return False
    beyond = [letter for letter in text if letter > "\x7f"]
    usual = sum(
        "一" <= letter <= "鿿" or "\u3000" <= letter <= "〿" or "\uff00" <= letter <= "\uffef" for letter in beyond
    )
    # bytes of the commonest 3,755 characters lie below D8; other encodings read as GB18030 spread over rare ones
    common = sum("一" <= letter <= "鿿" and letter.encode("gb18030")[0] < 0xD8 for letter in beyond)
    return usual > 0.9 * len(beyond) and common > 0.5 * len(beyond)


def _undecodable(file: File, error: UnicodeDecodeError, line: int, offset: int) -> DataError:
    seen = bytes(error.object)
    number = line + seen.count(b"\n", 0, error.start)
    what = f"byte 0x{seen[error.start]:02x} at offset {offset + error.start:,} is not {error.encoding.upper()}"
    return wrong(file, number, what, f"save the file as UTF-8: iconv -f ENCODING -t UTF-8 {file.path.name}")
