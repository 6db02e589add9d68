"""Guess tokens that are hidden from both sides: how encoders are pre-trained, with new holes at every step.

Of the tokens chosen, 8 of 10 become the mask token, 1 any token, 1 stays: https://arxiv.org/abs/1810.04805, 3.1.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Int
from pydantic import Field

from hanlin.core.errors import ConfigError, HanlinError, RefusedError, shown
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Example, Text
from hanlin.text.frame import frame
from hanlin.text.tokenizer import Tokenizer
from hanlin.train import objective
from hanlin.train.cross_entropy import summed
from hanlin.train.objective import Pupil, Tally
from hanlin.train.plain import framed
from hanlin.train.words import numbered, special

MASKS = ("[MASK]", "<mask>", "<|mask|>")
"""How mask tokens are spelled."""


class Objective(objective.Objective):
    """Settings of `objective.use = "masked"`."""

    TAKES: ClassVar = (Text,)
    IS_PACKED: ClassVar = True
    SHIFTS: ClassVar = False
    NEEDS: ClassVar = frozenset({"two_way"})
    use: Literal["masked"] = "masked"
    """The file of this objective."""
    rate: float = Field(default=0.15, gt=0, lt=1)
    """Share of the tokens (or words) that are to be guessed."""
    hidden: float = Field(default=0.8, ge=0, le=1)
    """Share of these that become the mask token."""
    swapped: float = Field(default=0.1, ge=0, le=1)
    """Share of these that become any token; the rest stays as it is."""
    whole_words: bool = False
    """Choose whole words instead of tokens; where there are no spaces, as in Chinese, tokens."""
    mask: str = ""
    """The mask token as the tokenizer spells it; empty: [MASK], <mask> or <|mask|>."""

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """Each text with what this tokenizer itself puts around it.

        Raises:
            ConfigError: the tokenizer has no mask token, or the shares exceed 1.
        """
        self.mask_token(tokenizer)
        if self.hidden + self.swapped > 1:
            what = f"objective.hidden = {self.hidden} and objective.swapped = {self.swapped} are more than all"
            raise ConfigError(what, "let their sum be at most 1; the rest stays as it is")
        texts = [example.text for example in examples if isinstance(example, Text)]
        found = framed(tokenizer, texts, *frame(tokenizer))
        return [ids if isinstance(ids, HanlinError) else Marked(ids) for ids in found]

    def mask_token(self, tokenizer: Tokenizer) -> int:
        """The id of the mask token.

        Raises:
            ConfigError: the tokenizer has none.
        """
        for spelled in (self.mask,) if self.mask else MASKS:
            if (token := tokenizer.backend.token_to_id(spelled)) is not None:
                return token
        what = f"the tokenizer has no token {shown(self.mask)}" if self.mask else "the tokenizer has no mask token"
        raise ConfigError(what, "name one in objective.mask, or train a tokenizer that has [MASK]")

    def corrupted(self, batch: Batch, tokenizer: Tokenizer, draw: np.random.Generator) -> Batch:
        """New holes; only what is to be guessed keeps its weight. Special tokens are never chosen."""
        tokens = batch.tokens.cpu().numpy().copy()
        is_mark = special(tokenizer)
        can = (batch.weights.cpu().numpy() > 0) & ~is_mark[tokens]
        chosen = self._chosen(tokens, can, tokenizer, draw)
        fate = draw.random(tokens.shape)
        tokens[chosen & (fate < self.hidden)] = self.mask_token(tokenizer)
        swapped = chosen & (fate >= self.hidden) & (fate < self.hidden + self.swapped)
        tokens[swapped] = draw.choice(np.flatnonzero(~is_mark), int(swapped.sum()))
        weights = batch.weights * torch.from_numpy(chosen).to(batch.weights)
        return replace(batch, tokens=torch.from_numpy(tokens).to(batch.tokens), weights=weights)

    def _chosen(
        self,
        tokens: Int[np.ndarray, "B T"],
        can: Bool[np.ndarray, "B T"],
        tokenizer: Tokenizer,
        draw: np.random.Generator,
    ) -> Bool[np.ndarray, "B T"]:
        """Which tokens are to be guessed: each by the same chance, and at least one of the batch."""
        luck = draw.random(tokens.shape)
        if self.whole_words:
            rows = zip(luck, tokens, strict=True)
            luck = np.stack([row[numbered(tokenizer, ids)] for row, ids in rows])
        chosen = can & (luck < self.rate)
        if not chosen.any() and can.any():
            chosen = can & (luck == luck[can].min())
        return chosen

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """Mean -log p of the hidden tokens.

        Raises:
            RefusedError: the model cannot see what comes after a hole.
        """
        if pupil.network.is_causal:
            what = 'objective.use = "masked" hides tokens from both sides, and this model reads from left to right only'
            raise RefusedError(what, 'take an encoder, or objective.use = "span", which hides tokens from a decoder')
        x = pupil.network.trunk(batch.tokens, None, batch.documents)
        return Tally(summed(pupil.network, x, batch.targets, batch.weights), float(batch.weights.sum()))


EXAMPLES = (
    Text("To be, or not to be, that is the question."),
    Text("床前明月光，疑是地上霜。举头望明月，低头思故乡。"),
    Text("A rose is a rose is a rose is a rose."),
)
"""What it learns from; the contract of objectives trains on these."""
