"""Texts that are judged as a whole in, their tokens out: within their marks, cut to what a model was trained to see."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from hanlin.core.errors import HanlinError
from hanlin.text.frame import ended
from hanlin.text.tokenizer import Tokenizer


class Whole(NamedTuple):
    """One text, or a pair."""

    ids: list[int]
    """With the marks around it."""
    lost: int
    """Tokens that did not fit."""


def whole(
    tokenizer: Tokenizer,
    texts: Sequence[tuple[str, str | None]],
    *,
    context: int,
    keep: Literal["start", "end"],
    between: str,
) -> list[Whole | HanlinError]:
    """Each text or pair within its marks, at most `context` tokens; in the place of one that has no tokens, why.

    Args:
        texts: each with the second text of its pair, if it has one.
        keep: the part of a text that stays; of a pair the longer text is cut first.
        between: text between the two of a pair.
    """
    begin, end = ended(tokenizer)
    starts = [text if pair is None else text + between for text, pair in texts]
    first = tokenizer.encode_many(starts, add_special=False, parse_special=False)
    second = tokenizer.encode_many([pair or "" for _, pair in texts], add_special=False, parse_special=False)
    room = max(context - len(begin) - len(end), 1)

    def made(one: list[int] | HanlinError, other: list[int] | HanlinError) -> Whole | HanlinError:
        if isinstance(one, HanlinError):
            return one
        if isinstance(other, HanlinError):
            return other
        sizes = _sizes(len(one), len(other), room)
        both = zip((one, other), sizes, strict=True)
        parts = [ids[:size] if keep == "start" else ids[len(ids) - size :] for ids, size in both]
        return Whole([*begin, *parts[0], *parts[1], *end], len(one) + len(other) - sum(sizes))

    return [made(*row) for row in zip(first, second, strict=True)]


def _sizes(first: int, second: int, room: int) -> tuple[int, int]:
    """How much of two texts fits into the room, the longer one being cut first."""
    if first + second <= room:
        return first, second
    short = min(first, second, room // 2)
    return (short, room - short) if first < second else (room - short, short)
