"""A corpus of any length in, as blocks of text; pieces of it out, small enough to hold many, cut where words end."""

from collections.abc import Iterable, Iterator

from hanlin.core.errors import DataError

PIECE = 1 << 14
"""Characters: the trainers take 256 pieces at once."""


def pieces(blocks: Iterable[str], most_bytes: int | None = None) -> Iterator[str]:
    """The same text in pieces of at most `PIECE` characters; of a corpus longer than `most_bytes`, its beginning.

    A line longer than a piece is cut before a space, and one without any space just so.

    Raises:
        DataError: the text holds half a character, or there is no text at all.
    """
    held, left, is_empty = "", most_bytes, True
    for block in blocks:
        size = _bytes(block)
        if left is not None and size > left:
            block = block.encode()[:left].decode(errors="ignore")
        held, start = held + block, 0
        while len(held) - start > PIECE:
            end = _cut(held, start)
            yield held[start:end]
            start, is_empty = end, False
        held = held[start:]
        if left is not None and (left := left - size) <= 0:
            break
    if held:
        yield held
    elif is_empty:
        raise DataError("the corpus is empty", "give some text to learn from")


def _cut(text: str, start: int) -> int:
    """Where a piece that begins at `start` ends."""
    line = text.rfind("\n", start, start + PIECE) + 1
    space = text.rfind(" ", start + 1, start + PIECE)
    return line or (space if space > 0 else start + PIECE)


def _bytes(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise DataError(
            f"the corpus holds half a character, U+{ord(text[error.start]):04X}",
            "decode it from UTF-8 with errors='replace', or remove that character",
        ) from None
