"""Tokens in, as they come; text that is safe to print out: never half a character, and each token decoded once.

A character of Chinese or an emoji may be spread over several tokens. Its bytes are held until they are whole, so what
`push` returns joins up to exactly what decoding all tokens at once gives. Bytes that can never become a character show
as U+FFFD, once for each run that could have begun one, as Python's "replace" and Rust count them; where single bytes
have tokens of their own (SentencePiece), once for each byte.
"""

import codecs
from collections.abc import Callable

from hanlin.text.spelling import Spelling

EACH_BYTE = "hanlin.each_byte"


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error(EACH_BYTE, _each_byte)


class TextStream:
    """Turns tokens into text as they come. Make one per answer with `tokenizer.stream()`."""

    def __init__(self, spelling: Spelling, piece_of: Callable[[int], str | None], skipped: frozenset[int]) -> None:
        self._spelling = spelling
        self._piece_of = piece_of
        self._skipped = skipped
        self._has_begun = False
        self._drops = spelling.drops_spaces
        self._reader = codecs.getincrementaldecoder("utf-8")(EACH_BYTE if spelling.has_byte_tokens else "replace")

    def push(self, *tokens: int) -> str:
        """The text that one more token, or several, make printable; sometimes none.

        Raises:
            TokenizerError: the tokenizer has no such token.
        """
        return self._reader.decode(b"".join(map(self._bytes, tokens)))

    def finish(self) -> str:
        """What was still held: nothing, or U+FFFD for a character that never became whole."""
        return self._reader.decode(b"", final=True)

    def _bytes(self, token: int) -> bytes:
        piece = self._piece_of(token)
        if piece is None or token in self._skipped:
            return b""
        written = self._spelling.later(piece) if self._has_begun else self._spelling.first(piece)
        self._has_begun = True
        if self._drops and written:
            spaces = min(self._drops, len(written) - len(written.lstrip(b" ")))
            written = written[spaces:]
            self._drops = 0 if written else self._drops - spaces
        return written
