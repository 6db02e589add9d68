"""Texts of any length: blocks of bytes or text in, token ids out, in memory that does not grow with the text.

A long text is encoded in pieces. A cut is made only where the tokenizer itself draws a border: the tokens of the
text around the cut, encoded in one go, must be those of its two sides. So the ids equal those of the whole text. A
stretch without such a place (64,000 letters and no space) is cut anyway, and its piece says so.
"""

import codecs
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from hanlin.core.errors import DataError
from hanlin.text.tokenizer import Tokenizer

Encode = Callable[[str], list[int]]

BLOCK = 1 << 20
PIECE = 1 << 16
AROUND = 64
"""Characters on each side of a cut that are encoded to prove it: far longer than any token's reach in running text."""
TRIES = 16

BORDERS = (
    re.compile(r"(?<=[^\s])\n(?=\S)"),  # after a lone line break
    re.compile(r"(?<=[^\W\d_])(?= [^\W\d_])"),  # before a lone space between letters
    re.compile(r"(?<=\w)(?=[^\w\s])"),  # before a punctuation mark: text without spaces, such as Chinese
)


@dataclass(frozen=True)
class Piece:
    """The ids of a stretch of text."""

    tokens: list[int]
    """Its ids, no special ones added."""
    text: str
    """The stretch itself."""
    is_exact: bool
    """The ids are those that the whole text has here; false after a cut that no border of the tokenizer allowed."""


def decoded(read: Callable[[int], bytes], name: str) -> Iterator[str]:
    """UTF-8 text in blocks, from a function that reads so many bytes, such as a file's `read`; line ends are kept.

    Raises:
        DataError: not UTF-8, with the name and the offset of the first wrong byte; or the stream cannot be read.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    while True:
        try:
            block = read(BLOCK)
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror}", "check the file and its permissions") from None
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            at = offset - pending + error.start
            fix = "give UTF-8: iconv -f OLD -t UTF-8 turns other encodings into it"
            raise DataError(
                f"{name} is not UTF-8 text: byte {at:,} is 0x{error.object[error.start]:02x}", fix
            ) from None
        offset += len(block)
        if text:
            yield text
        if not block:
            return


def encode_long(
    tokenizer: Tokenizer, blocks: Iterable[str], *, parse_special: bool = False, piece: int = PIECE
) -> Iterator[Piece]:
    """The ids of the text that the blocks make together, in pieces of at most about `piece` characters.

    No special token is added. Text is data here, so none that is spelled out in it is read as one, unless asked for.

    Raises:
        DataError: the text holds half a character.
    """
    encode = partial(tokenizer.encode, add_special=False, parse_special=parse_special)
    before, held, is_exact = "", "", True
    for block in blocks:
        held, start = held + block, 0
        while len(held) - start > piece + AROUND:
            cut, is_border = _cut(encode, held, start + piece // 2, start + piece)
            yield _piece(encode, before, held[start:cut], is_exact)
            before = held[max(start, cut - AROUND) : cut] if is_border else ""
            start, is_exact = cut, is_border
        held = held[start:]
    if held:
        yield _piece(encode, before, held, is_exact)


def _piece(encode: Encode, before: str, text: str, is_exact: bool) -> Piece:
    """Ids of `text`, which follows `before`: encoded with it, as some tokenizers treat the first word apart."""
    return Piece(encode(before + text)[len(encode(before)) :], text, is_exact)


def _cut(encode: Encode, text: str, least: int, most: int) -> tuple[int, bool]:
    """The last place in `text[least:most]` where the tokenizer has a border, else the very last."""
    for border in BORDERS:
        found = deque((match.end() for match in border.finditer(text, least, most)), maxlen=TRIES)
        for cut in reversed(found):
            if _is_border(encode, text, cut):
                return cut, True
    return most, False


def _is_border(encode: Encode, text: str, cut: int) -> bool:
    left, right = text[max(0, cut - AROUND) : cut], text[cut : cut + AROUND]
    ids = encode(left)
    return encode(left + right)[: len(ids)] == ids
