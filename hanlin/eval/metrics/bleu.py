"""BLEU: translations in, n-gram precision with a brevity penalty out (0 to 100); counted by sacreBLEU, its signature
kept.

Chinese needs `words = "zh"`. sacreBLEU's list of Chinese characters has two ranges that mean others than were meant
(`'\\u20000'` reads as U+2000 and a 0), so dashes and quotes count as Chinese and rare characters beyond U+FFFF do not;
"zh" repeats that so that figures match others', "zh-fixed" does not. (Papineni et al. 2002; Post 2018)
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from hanlin.core.settings import Settings
from hanlin.eval.metric import library
from hanlin.eval.mt import counted, total
from hanlin.eval.sample import Reply, Sample


class Metric(Settings):
    """Corpus BLEU."""

    words: Literal[
        "13a", "zh", "zh-fixed", "char", "intl", "none", "ja-mecab", "ko-mecab", "flores200", "flores101"
    ] = "13a"
    """How texts are split: 13a for languages with spaces, zh for Chinese, char for any."""
    lowercase: bool = False
    """Case is left out."""
    smooth: Literal["exp", "floor", "add-k", "none"] = "exp"
    """What becomes of n-grams that never match."""
    order: int = Field(4, ge=1, le=10)
    """The longest n-gram."""
    effective_order: bool = False
    """Orders longer than the text are left out: for single sentences."""

    RANGE: ClassVar = (0.0, 100.0)
    IS_HIGHER_BETTER: ClassVar = True
    VERSION: ClassVar = library("sacrebleu")
    IDENTITY: ClassVar = (
        Sample(references=("the cat sat on the mat",)),
        Reply(texts=("the cat sat on the mat",)),
        100.0,
    )

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """sacreBLEU's own: lengths, n-grams found, n-grams there are."""
        return counted(self._scorer(), "bleu", samples, replies)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """The figure of each row of sums."""
        return total(self._scorer(), sums)

    def _scorer(self) -> Any:
        from sacrebleu.metrics.bleu import BLEU

        scorer = BLEU(
            lowercase=self.lowercase,
            tokenize=self.words.removesuffix("-fixed"),
            smooth_method=self.smooth,
            max_ngram_order=self.order,
            effective_order=self.effective_order,
            force=True,  # it would print advice about tokenised input
        )
        if self.words == "zh-fixed":
            from hanlin.eval.chinese import splitter

            scorer.tokenizer = splitter()
        return scorer
