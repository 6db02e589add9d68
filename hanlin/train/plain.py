"""Plain texts in, their tokens out, within what the tokenizer and the objective put around a text."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int32

from hanlin.core.errors import HanlinError
from hanlin.text.tokenizer import Tokenizer


def frame(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """What this tokenizer itself puts before and after a text when it is served."""
    bare, whole = (tokenizer.encode("a", add_special=is_whole) for is_whole in (False, True))
    size = len(bare)
    at = next((at for at in range(len(whole) - size + 1) if whole[at : at + size] == bare), 0)
    return whole[:at], whole[at + size :]


def ended(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """What stands before and after a text that a decoder learns: its own beginning mark, and the mark to stop at."""
    begin, end = frame(tokenizer)
    return begin, end or list(tokenizer.eos[:1])


def framed(
    tokenizer: Tokenizer, texts: Sequence[str], begin: Sequence[int], end: Sequence[int]
) -> list[Int32[np.ndarray, " N"] | HanlinError]:
    """Tokens of each text between `begin` and `end`; special tokens that are spelled out in it are plain text."""
    found = tokenizer.encode_many(texts, add_special=False, parse_special=False)
    return [ids if isinstance(ids, HanlinError) else np.array([*begin, *ids, *end], np.int32) for ids in found]
