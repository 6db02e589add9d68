"""Predict the next token of raw text: pre-training and continued pre-training."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from hanlin.core.errors import HanlinError
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Example, Text
from hanlin.text.tokenizer import Tokenizer
from hanlin.train import objective
from hanlin.train.cross_entropy import summed
from hanlin.train.objective import Pupil, Tally


class Objective(objective.Objective):
    """Settings of `objective.use = "next_token"`."""

    TAKES: ClassVar = (Text,)
    IS_PACKED: ClassVar = True
    use: Literal["next_token"] = "next_token"
    """The file of this objective."""

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """Beginning mark (if the tokenizer has one), text, end mark."""
        begin = [] if tokenizer.bos is None else [tokenizer.bos]
        end = list(tokenizer.eos[:1])
        found: list[Marked | HanlinError] = []
        for example in examples:
            assert isinstance(example, Text)
            try:
                ids = tokenizer.encode(example.text, add_special=False, parse_special=False)
            except HanlinError as error:
                found.append(error)
            else:
                found.append(Marked(np.array([*begin, *ids, *end], np.int32)))
        return found

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """Mean -log p of each token given those before it."""
        x = pupil.network.trunk(batch.tokens, None, batch.documents)
        return Tally(summed(pupil.network, x, batch.targets, batch.weights), float(batch.weights.sum()))
