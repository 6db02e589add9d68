"""chrF: translations in, overlap of characters (and words) with the reference out, 0 to 100; counted by sacreBLEU.

Fit for Chinese as it is, since it needs no words; `word_order = 2` is chrF++. (Popović 2015, 2017)
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from hanlin.core.settings import Settings
from hanlin.eval.metric import library
from hanlin.eval.mt import counted, total
from hanlin.eval.sample import Reply, Sample


class Metric(Settings):
    """Corpus chrF."""

    order: int = Field(6, ge=1, le=20)
    """The longest run of characters."""
    word_order: int = Field(0, ge=0, le=10)
    """The longest run of words; 2 is chrF++."""
    beta: int = Field(2, ge=1, le=10)
    """How much more recall counts than precision."""
    lowercase: bool = False
    """Case is left out."""

    RANGE: ClassVar = (0.0, 100.0)
    IS_HIGHER_BETTER: ClassVar = True
    VERSION: ClassVar = library("sacrebleu")
    IDENTITY: ClassVar = (
        Sample(references=("翰林院 was an academy",)),
        Reply(texts=("翰林院 was an academy",)),
        100.0,
    )

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """sacreBLEU's own: n-grams of both and in common, by order."""
        return counted(self._scorer(), "chrf", samples, replies)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """The figure of each row of sums."""
        return total(self._scorer(), sums)

    def _scorer(self) -> Any:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(char_order=self.order, word_order=self.word_order, beta=self.beta, lowercase=self.lowercase)
