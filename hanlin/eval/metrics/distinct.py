"""Distinct-n: answers in, the share of their n-grams that are different ones out; low where a model says the same
always.

Over all answers together, as Li et al. 2016 (https://arxiv.org/abs/1510.03055) have it: more answers give a lower
figure, so compare equal numbers of answers of equal length. An n-gram that several answers share counts for each in
part.
"""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from hanlin.core.settings import Settings
from hanlin.eval.metric import ratio
from hanlin.eval.sample import Reply, Sample
from hanlin.eval.words import words


class Metric(Settings):
    """Different n-grams per n-gram."""

    n: int = Field(2, ge=1, le=10)
    """Words of an n-gram; a Chinese character is one."""

    RANGE: ClassVar = (0.0, 1.0)
    IS_HIGHER_BETTER: ClassVar = True
    VERSION: ClassVar = "1"
    IDENTITY: ClassVar = None

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(its part of the different n-grams, n-grams)."""
        each = [Counter(ngrams(words(reply.text), self.n)) for reply in replies]
        all_of_them: Counter[tuple[str, ...]] = Counter()
        for grams in each:
            all_of_them.update(grams)
        return np.array(
            [(sum(count / all_of_them[gram] for gram, count in grams.items()), grams.total()) for grams in each]
        )

    def value(self, sums: np.ndarray) -> np.ndarray:
        """The share; of sums that are whole but for rounding."""
        return np.asarray(np.round(ratio(sums[..., 0], sums[..., 1]), 12))


def ngrams(found: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Each n words that follow one another."""
    return [tuple(found[place : place + n]) for place in range(len(found) - n + 1)]
