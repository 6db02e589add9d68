"""Repetition: answers in, the mean share of an answer's n-grams that it has said before out; a loop comes near 1.

seq-rep-n of Welleck et al. 2020 (https://arxiv.org/abs/1908.04319). An answer too short to repeat anything has none.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from hanlin.core.settings import Settings
from hanlin.eval.metric import mean_rows, mean_value
from hanlin.eval.metrics.distinct import ngrams
from hanlin.eval.sample import Reply, Sample
from hanlin.eval.words import words


class Metric(Settings):
    """Share of n-grams said before."""

    n: int = Field(4, ge=1, le=10)
    """Words of an n-gram; a Chinese character is one."""

    RANGE: ClassVar = (0.0, 1.0)
    IS_HIGHER_BETTER: ClassVar = False
    IS_MEAN: ClassVar = True
    VERSION: ClassVar = "1"
    IDENTITY: ClassVar = (Sample(), Reply(texts=("床前明月光，疑是地上霜。",)), 0.0)

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(share, 1)."""
        grams = [ngrams(words(reply.text), self.n) for reply in replies]
        return mean_rows([1 - len(set(some)) / len(some) if some else 0.0 for some in grams])

    value = staticmethod(mean_value)
