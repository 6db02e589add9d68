"""TER: translations in, edits needed to reach the reference per word of it out, in percent; counted by sacreBLEU.

Lower is better, and it may exceed 100. `asian` splits Chinese and Japanese into characters, and needs `normalized`.
(Snover et al. 2006)
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import model_validator

from hanlin.core.settings import Settings
from hanlin.eval.metric import library
from hanlin.eval.mt import counted, total
from hanlin.eval.sample import Reply, Sample


class Metric(Settings):
    """Corpus TER."""

    normalized: bool = False
    """Punctuation is split off first."""
    asian: bool = False
    """Chinese and Japanese characters are words of their own."""
    punctuation: bool = True
    """Punctuation counts."""
    case: bool = False
    """Upper and lower case differ."""

    RANGE: ClassVar = (0.0, math.inf)
    IS_HIGHER_BETTER: ClassVar = False
    VERSION: ClassVar = library("sacrebleu")
    IDENTITY: ClassVar = (
        Sample(references=("the cat sat on the mat",)),
        Reply(texts=("the cat sat on the mat",)),
        0.0,
    )

    @model_validator(mode="after")
    def _splits_what_it_can(self) -> "Metric":
        if self.asian and not self.normalized:
            raise ValueError("asian = true needs normalized = true: sacreBLEU would leave the text whole")
        return self

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(edits, words of the reference)."""
        return counted(self._scorer(), "ter", samples, replies)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """The figure of each row of sums."""
        return total(self._scorer(), sums)

    def _scorer(self) -> Any:
        from sacrebleu.metrics.ter import TER

        return TER(
            normalized=self.normalized,
            no_punct=not self.punctuation,
            asian_support=self.asian,
            case_sensitive=self.case,
        )
