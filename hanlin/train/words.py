"""Where words begin among tokens: a tokenizer in, for each token whether it goes on with a word and leaves one open."""

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from hanlin.text.tokenizer import Tokenizer

IDEOGRAPHS = range(0x2E80, 0xA000)
"""Each is a word of its own; kana among them, for Japanese has no spaces either."""


class Words(NamedTuple):
    """For every token of a vocabulary."""

    goes_on: Bool[np.ndarray, " V"]
    """It begins with a letter, a digit or the rest of a character."""
    is_open: Bool[np.ndarray, " V"]
    """It ends with one."""


@lru_cache(2)
def words(tokenizer: Tokenizer) -> Words:
    """Of a whole vocabulary; a third of a second for 50,000 tokens."""
    pieces = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
    is_text = ~special(tokenizer)
    first = [bool(piece) and _is_inner(piece, 0) for piece in pieces]
    last = [bool(piece) and _is_inner(piece, -1) for piece in pieces]
    return Words(np.array(first, bool) & is_text, np.array(last, bool) & is_text)


def numbered(tokenizer: Tokenizer, ids: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """The number of the word that each token belongs to, from 0 and ascending."""
    goes_on, is_open = words(tokenizer)
    is_new = np.ones(len(ids), bool)
    is_new[1:] = ~(goes_on[ids[1:]] & is_open[ids[:-1]])
    return np.cumsum(is_new) - 1


@lru_cache(2)
def special(tokenizer: Tokenizer) -> Bool[np.ndarray, " V"]:
    """Which tokens are marks and no text."""
    return np.array([tokenizer.is_special(token) for token in range(tokenizer.vocab_size)], bool)


def _is_inner(piece: bytes, end: Literal[0, -1]) -> bool:
    """Whether a token begins (0) or ends (-1) within a word."""
    letter = piece.decode(errors="replace")[end]
    if letter == "\ufffd":  # part of a character: its rest goes on, its beginning is open
        return end == -1 or 0x80 <= piece[0] < 0xC0
    return letter.isalnum() and ord(letter) not in IDEOGRAPHS
