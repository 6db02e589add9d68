"""F1 of answers, as SQuAD has it: words in common between an answer and a reference, the best of the references.

English answers lose case, punctuation and the articles first (Rajpurkar et al. 2016); two empty answers agree, as in
SQuAD 2. `words = "squad"` splits at white space; "any" also splits Chinese into its characters, without which a Chinese
answer is right in full or not at all.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from hanlin.core.settings import Settings
from hanlin.eval.metric import mean_rows, mean_value, need
from hanlin.eval.sample import Reply, Sample
from hanlin.eval.words import words

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = dict.fromkeys(map(ord, string.punctuation))


class Metric(Settings):
    """Words in common, best reference."""

    words: Literal["any", "squad"] = "any"
    """How a text is split."""

    RANGE: ClassVar = (0.0, 1.0)
    IS_HIGHER_BETTER: ClassVar = True
    IS_MEAN: ClassVar = True
    VERSION: ClassVar = "1"
    IDENTITY: ClassVar = (Sample(references=("the 翰林 Academy",)), Reply(texts=("翰林 academy",)), 1.0)

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(F1, 1)."""
        need(samples, "references", "f1")
        return mean_rows(
            [
                max(self._f1(reply.text, reference) for reference in sample.references)
                for sample, reply in zip(samples, replies, strict=True)
            ]
        )

    def _f1(self, answer: str, reference: str) -> float:
        mine, theirs = self.split(answer), self.split(reference)
        if not mine or not theirs:
            return float(mine == theirs)
        common = sum((Counter(mine) & Counter(theirs)).values())
        return 2 * common / (len(mine) + len(theirs))

    def split(self, text: str) -> list[str]:
        """Words as they are compared."""
        text = ARTICLES.sub(" ", text.lower().translate(PUNCTUATION))
        return words(text) if self.words == "any" else text.split()

    value = staticmethod(mean_value)
