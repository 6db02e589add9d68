"""Tokens in, hashes of every run of 13 words out, by arithmetic on whole blocks: about 100 ns a token.

A block's tokens are spelled as bytes; bytes are letters, single characters or nothing by their UTF-8 lead; a word's
hash is a polynomial of its bytes, a run's one of its words. Equal runs have equal hashes; different ones have the same
with a chance of about 2^-64.
"""

import numpy as np
from jaxtyping import Int64, UInt8, UInt64

from hanlin.data.batch import Marked
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.gate.survey import Block

RUN = 13
"""Words in a run."""
LETTER, SINGLE = 1, 2
FACTOR, TURN = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
CJK_MARKS = (0xE3, 0x80)
"""The first two bytes of 、。「」 and their kin, which are no words."""


def _kinds() -> UInt8[np.ndarray, " 256"]:
    """What a UTF-8 lead byte, or an ASCII byte, begins; punctuation and symbols are 0."""
    kinds = np.zeros(256, np.uint8)
    for byte in range(128):
        kinds[byte] = LETTER if chr(byte).isalnum() else 0
    kinds[0xC3:0xE2] = LETTER  # accented Latin, Greek, Cyrillic, Arabic, Indic
    kinds[0xE3:0xEA] = SINGLE  # kana and Chinese
    kinds[0xEA:0xEE] = LETTER  # Hangul
    kinds[0xF0:0xF5] = SINGLE  # rare Chinese, emoji
    return kinds


KINDS = _kinds()
SMALL = np.arange(256, dtype=np.uint8)
SMALL[ord("A") : ord("Z") + 1] += 32


def _powers(base: np.uint64, count: int) -> UInt64[np.ndarray, " count"]:
    return np.cumprod(np.concatenate([[np.uint64(1)], np.full(count - 1, base)]), dtype=np.uint64)


LETTER_POWERS, WORD_POWERS = _powers(FACTOR, 256), _powers(TURN, RUN)


class Words:
    """The tokens met so far as one long string of bytes; special tokens are a space."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.border = tokenizer.vocab_size
        """Stands between texts, and for what is no token at all."""
        self.sizes = np.zeros(self.border + 1, np.int64)
        self.starts = np.zeros(self.border + 1, np.int64)
        self.is_known = np.zeros(self.border + 1, bool)
        self.is_mark = np.zeros(self.border + 1, bool)
        """Special tokens and borders, which no run goes across."""
        self.is_mark[self.border] = True
        self.bytes = np.zeros(0, np.uint8)

    def _learn(self, ids: Int64[np.ndarray, " n"]) -> None:
        """Spell tokens that were not met before."""
        new = np.flatnonzero(np.bincount(ids, minlength=self.border + 1)[: self.border + 1] > 0)
        new = new[~self.is_known[new]]
        if not len(new):
            return
        pieces = [self._piece(token) for token in new.tolist()]
        sizes = np.array([len(piece) for piece in pieces], np.int64)
        self.sizes[new], self.starts[new] = sizes, len(self.bytes) + np.cumsum(sizes) - sizes
        self.is_known[new] = True
        self.is_mark[new] = [token == self.border or self.tokenizer.is_special(token) for token in new.tolist()]
        self.bytes = np.concatenate([self.bytes, np.frombuffer(b"".join(pieces), np.uint8)])

    def known(self, ids: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """The same, with the border for what is no token."""
        return np.where((ids < 0) | (ids > self.border), self.border, ids)

    def _piece(self, token: int) -> bytes:
        if token == self.border or self.tokenizer.is_special(token):
            return b" "
        return self.tokenizer.token_bytes(token)

    def spelled(self, ids: Int64[np.ndarray, " n"]) -> tuple[UInt8[np.ndarray, " b"], Int64[np.ndarray, " b"]]:
        """The bytes of some tokens, and which token each belongs to."""
        ids = self.known(ids)
        self._learn(ids)
        sizes = self.sizes[ids]
        token = np.repeat(np.arange(len(ids)), sizes)
        begins = np.cumsum(sizes) - sizes
        at = np.arange(len(token)) + np.repeat(self.starts[ids] - begins, sizes)
        return self.bytes[at], token

    def quoted(self, example: Marked, run: int) -> str:
        """The text of an example that has this hash."""
        for text in (example, example.rejected):
            if text is None:
                continue
            raw, _ = self.spelled(text.ids.astype(np.int64))
            hashes, starts, ends = _words(raw)
            found = np.flatnonzero(_joined(hashes) == np.uint64(run))
            if len(found):
                first = int(found[0])
                return raw[starts[first] : ends[first + RUN - 1]].tobytes().decode(errors="replace")
        return ""


def runs(words: Words, block: Block) -> tuple[UInt64[np.ndarray, " R"], Int64[np.ndarray, " R"]]:
    """The hash of each run of 13 words that lies within one text or turn of it, and which text of the block that is.

    Runs end at special tokens: what a chat template writes around the turns would else be part of every run.
    """
    ids = np.insert(block.ids.astype(np.int64), block.starts, words.border)
    text_of = np.repeat(np.arange(len(block.starts)), np.diff(block.starts, append=len(block.ids)) + 1)
    raw, token = words.spelled(ids)
    hashes, starts, _ = _words(raw)
    texts = text_of[token[starts]]
    if len(hashes) < RUN:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    turns = np.cumsum(words.is_mark[words.known(ids)])[token[starts]]
    is_whole = turns[: 1 - RUN] == turns[RUN - 1 :]
    return _joined(hashes)[is_whole], texts[: 1 - RUN][is_whole]


def _joined(words: UInt64[np.ndarray, " w"]) -> UInt64[np.ndarray, " r"]:
    count = len(words) - RUN + 1
    total = np.zeros(max(count, 0), np.uint64)
    for place in range(RUN if count > 0 else 0):
        total += words[place : place + count] * WORD_POWERS[place]
    return _mixed(total)


def _words(
    raw: UInt8[np.ndarray, " b"],
) -> tuple[UInt64[np.ndarray, " w"], Int64[np.ndarray, " w"], Int64[np.ndarray, " w"]]:
    """Hash, begin and end of each word in some UTF-8."""
    is_lead = (raw & 0xC0) != 0x80
    kind = KINDS[raw]
    kind[:-1][(raw[:-1] == CJK_MARKS[0]) & (raw[1:] == CJK_MARKS[1])] = 0
    lead = np.maximum.accumulate(np.where(is_lead, np.arange(len(raw)), 0)) if len(raw) else np.zeros(0, np.int64)
    kind = kind[lead]
    is_word = kind > 0
    before = np.concatenate([np.zeros(1, np.uint8), kind[:-1]])
    is_begin = is_word & ((kind != before) | ((kind == SINGLE) & is_lead))
    starts = np.flatnonzero(is_begin)
    if not len(starts):
        return np.zeros(0, np.uint64), starts, starts
    letters = np.flatnonzero(is_word)
    begins = np.flatnonzero(is_begin[letters])
    sizes = np.diff(begins, append=len(letters))
    place = (np.arange(len(letters)) - np.repeat(begins, sizes)) & 255
    terms = (SMALL[raw[letters]].astype(np.uint64) + np.uint64(1)) * LETTER_POWERS[place]
    return _mixed(np.add.reduceat(terms, begins)), starts, letters[begins + sizes - 1] + 1


def _mixed(x: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """Spread the bits (the finaliser of splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
