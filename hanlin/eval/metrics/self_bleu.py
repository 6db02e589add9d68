"""Self-BLEU: answers in, the mean BLEU of each against all the others out (0 to 100); high where answers are alike.

Zhu et al. 2018 (https://arxiv.org/abs/1802.01886), each BLEU sacreBLEU's for sentences. Time grows with the square of
the number of answers: at most `MOST` are taken at once.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from hanlin.core.errors import DataError
from hanlin.core.settings import Settings
from hanlin.eval.metric import library, mean_rows, mean_value
from hanlin.eval.sample import Reply, Sample

MOST = 500


class Metric(Settings):
    """How alike answers are."""

    words: Literal["13a", "zh", "char"] = "char"
    """How texts are split; char suits any language."""

    RANGE: ClassVar = (0.0, 100.0)
    IS_HIGHER_BETTER: ClassVar = False
    IS_MEAN: ClassVar = True
    VERSION: ClassVar = library("sacrebleu")
    IDENTITY: ClassVar = None

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(BLEU, 1); an empty answer is like nothing.

        Raises:
            DataError: there are too many answers, or one alone.
        """
        from sacrebleu.metrics.bleu import BLEU

        if not 2 <= len(replies) <= MOST:
            raise DataError(f"self_bleu of {len(replies):,} answers", f"give 2 to {MOST}, drawn at random")
        scorer = BLEU(tokenize=self.words, effective_order=True)
        texts = [reply.text for reply in replies]
        return mean_rows(
            [scorer.sentence_score(text, texts[:place] + texts[place + 1 :]).score for place, text in enumerate(texts)]
        )

    value = staticmethod(mean_value)
