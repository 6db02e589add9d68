"""Tokens in, one at a time; text that is safe to print out: never half a character, and each token decoded once.

A character of Chinese or an emoji may be spread over several tokens. Its bytes are held until they are whole, so what
`push` returns joins up to exactly what decoding all tokens at once gives. Bytes that can never become a character show
as U+FFFD, which is how Rust, browsers and Python's "replace" count them: one for each run that could have begun one
(SentencePiece with byte tokens: one for each byte).
"""

from collections.abc import Callable

from hanlin.text.spelling import Spelling

BROKEN = "\ufffd"


class TextStream:
    """Turns tokens into text as they come. Make one per answer with `tokenizer.stream()`."""

    def __init__(self, spelling: Spelling, text_of: Callable[[int], str | None], skipped: frozenset[int]) -> None:
        self._spelling = spelling
        self._text_of = text_of
        self._skipped = skipped
        self._held = b""
        self._has_begun = False
        self._drops = spelling.drops_spaces

    def push(self, token: int) -> str:
        """The text that one more token makes printable; often all of its own, sometimes none.

        Raises:
            TokenizerError: the tokenizer has no such token.
        """
        text = self._text_of(token)
        if text is None or token in self._skipped:
            return ""
        write = self._spelling.later if self._has_begun else self._spelling.first
        self._has_begun = True
        piece = write(text)
        if self._drops and piece:
            spaces = min(self._drops, len(piece) - len(piece.lstrip(b" ")))
            piece = piece[spaces:]
            self._drops = 0 if piece else self._drops - spaces
        self._held += piece
        return self._readable(is_end=False)

    def finish(self) -> str:
        """What was still held: nothing, or U+FFFD for a character that never became whole."""
        return self._readable(is_end=True)

    def _readable(self, is_end: bool) -> str:
        """The longest part of the held bytes that can be read; only a character's open beginning stays held."""
        text, held = "", self._held
        while True:
            try:
                text, held = text + held.decode(), b""
            except UnicodeDecodeError as error:
                text += held[: error.start].decode()
                if error.reason == "unexpected end of data" and not is_end:
                    held = held[error.start :]
                else:
                    text += BROKEN * (error.end - error.start if self._spelling.has_byte_tokens else 1)
                    held = held[error.end :]
                    continue
            self._held = held
            return text
