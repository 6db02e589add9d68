"""Text of any length in; its tokens as they come, what they add up to, and whether they spell the text again, out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hanlin.text.long import encode_long
from hanlin.text.tokenizer import Tokenizer


@dataclass
class Sums:
    """What went through so far."""

    tokens: int = 0
    special: int = 0
    characters: int = 0
    bytes: int = 0
    forced_cuts: int = 0


class RoundTrip:
    """Compares a text with what its tokens spell, as both come in; keeps only what is not yet compared."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.stream = tokenizer.stream(skip_special=False)
        self.wanted = self.got = ""
        self.compared = 0
        self.difference: tuple[int, str, str] | None = None
        """The place of the first character that differs, and what stands there in the text and in the tokens."""

    def push(self, text: str, tokens: Iterable[int]) -> None:
        """The text goes on with `text`, and its tokens with `tokens`."""
        if self.difference is None:
            self.wanted += text
            self.got += "".join(map(self.stream.push, tokens))
            self._compare(is_end=False)

    def finish(self) -> None:
        """There is no more."""
        if self.difference is None:
            self.got += self.stream.finish()
            self._compare(is_end=True)

    def _compare(self, is_end: bool) -> None:
        length = min(len(self.wanted), len(self.got))
        if self.wanted[:length] != self.got[:length]:
            place = next(at for at in range(length) if self.wanted[at] != self.got[at])
        elif is_end and len(self.wanted) != len(self.got):
            place = length
        else:
            self.compared += length
            self.wanted, self.got = self.wanted[length:], self.got[length:]
            return
        around = slice(place, place + 12)
        self.difference = (self.compared + place, self.wanted[around], self.got[around])


def tokens_of(
    tokenizer: Tokenizer, blocks: Iterable[str], sums: Sums, check: RoundTrip, is_plain: bool
) -> Iterator[int]:
    """Each token of the text in order, special ones around it unless `is_plain`; `sums` and `check` follow along."""
    before, after = ([], []) if is_plain else around(tokenizer)
    yield from _counted(tokenizer, before, sums)
    for piece in encode_long(tokenizer, blocks, parse_special=not is_plain):
        sums.characters += len(piece.text)
        sums.bytes += len(piece.text.encode())
        sums.forced_cuts += not piece.is_exact
        check.push(piece.text, piece.tokens)
        yield from _counted(tokenizer, piece.tokens, sums)
    check.finish()
    yield from _counted(tokenizer, after, sums)


def around(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The special tokens that this tokenizer puts before and after a text."""
    whole, bare = tokenizer.encode("a"), tokenizer.encode("a", add_special=False)
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return whole[:start], whole[start + len(bare) :]
    return [], []


def _counted(tokenizer: Tokenizer, tokens: Iterable[int], sums: Sums) -> Iterator[int]:
    for token in tokens:
        sums.tokens += 1
        sums.special += tokenizer.is_special(token)
        yield token
