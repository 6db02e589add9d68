"""What kind of tokenizer to learn: typed settings, checked before a byte of the corpus is read."""

from typing import Literal

from pydantic import Field

from hanlin.core.errors import ConfigError, shown
from hanlin.core.settings import Settings

Kind = Literal["bpe", "unigram", "wordpiece", "characters"]
ENDS = ("<|im_start|>", "<|im_end|>")
"""The tokens of ChatML."""
LETTERS = {"bpe": 256, "unigram": 256, "wordpiece": 512, "characters": 256}
"""Tokens that stand for single bytes, so that nothing is ever lost; WordPiece has each at a word's start and within."""
UNUSED = {
    "unigram": ("min_frequency", "unk"),
    "characters": ("digits", "cjk"),
    "bpe": ("unk",),
    "wordpiece": ("unk",),
}
"""Settings that a kind has no use for: to give them is an error."""


class LearnSettings(Settings):
    """A tokenizer to learn."""

    kind: Kind = "bpe"
    """bpe merges frequent neighbours, unigram takes the likeliest pieces, wordpiece the longest; or characters."""
    vocabulary: int = Field(default=8192, ge=16, le=4_000_000)
    """Tokens in all: bytes, pieces and special ones."""
    digits: Literal["any", "3", "2", "1"] = "3"
    """Longest run of digits in a token. Small vocabularies gain from 2, arithmetic from 1."""
    cjk: Literal["default", "apart", "uncut"] = "default"
    """Chinese and Japanese: runs of characters end at punctuation, each stands alone, or not even punctuation cuts."""
    normalise: Literal["none", "nfc", "nfkc"] = "none"
    """Unicode's composed form, or its compatible form, which folds ﬁ, Ａ and ② into fi, A and 2 for good."""
    min_frequency: int = Field(default=2, ge=1)
    """Rarer pieces are not learnt (characters: 1 unless given)."""
    most_bytes: int | None = Field(default=None, ge=1)
    """Stop reading the corpus after so many bytes."""
    bos: str = ""
    """A token that begins every text; empty: none."""
    eos: str = "<|endoftext|>"
    """A token that ends a text; empty: none."""
    pad: str = "<|pad|>"
    """A token that fills rows, and is never the end of a text; empty: none."""
    unk: str = ""
    """characters: one token for all characters that are not known, in place of the 256 of bytes. They are lost then."""
    special: tuple[str, ...] = ()
    """Further special tokens of your own."""
    chat: Literal["none", "chatml"] = "none"
    """A chat format, with its template and tokens, for fine-tuning later on."""

    def marks(self) -> tuple[str, ...]:
        """All special tokens, in the order of their ids."""
        ends = ENDS if self.chat == "chatml" else ()
        return tuple(
            dict.fromkeys(mark for mark in (self.unk, self.bos, self.eos, self.pad, *ends, *self.special) if mark)
        )

    def pieces(self) -> int:
        """How many tokens are left to learn.

        Raises:
            ConfigError: none, or a setting is given that this kind has no use for.
        """
        given = [name for name in UNUSED[self.kind] if name in self.model_fields_set and getattr(self, name)]
        if given:
            value = getattr(self, given[0])
            raise ConfigError(f"{given[0]} = {shown(value)} means nothing to kind = '{self.kind}'", "leave it out")
        if "" in self.special:
            raise ConfigError("a special token is empty", "give it a text, such as <|tool|>")
        fixed = len(self.marks()) + (0 if self.unk else LETTERS[self.kind])
        if self.vocabulary <= fixed:
            of = f"{fixed - len(self.marks())} bytes and {len(self.marks())} special tokens"
            raise ConfigError(
                f"vocabulary = {self.vocabulary} has no room: {of} come first", f"at least {fixed + 1} for this kind"
            )
        return self.vocabulary - fixed
