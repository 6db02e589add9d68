"""Plain texts in, their tokens out, within what the tokenizer and the objective put around a text."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int32

from hanlin.core.errors import HanlinError
from hanlin.text.tokenizer import Tokenizer


def framed(
    tokenizer: Tokenizer, texts: Sequence[str], begin: Sequence[int], end: Sequence[int]
) -> list[Int32[np.ndarray, " N"] | HanlinError]:
    """Tokens of each text between `begin` and `end`; special tokens that are spelled out in it are plain text."""
    found = tokenizer.encode_many(texts, add_special=False, parse_special=False)
    return [ids if isinstance(ids, HanlinError) else np.array([*begin, *ids, *end], np.int32) for ids in found]
