"""Consistency: answers to one question in several wordings in, the share of pairs of wordings answered alike out.

Items of one `cluster` are the same question, with choices in the same order. It says nothing about being right: ask for
accuracy beside it.
"""

from collections.abc import Hashable, Sequence
from itertools import combinations
from typing import ClassVar

import numpy as np

from hanlin.core.settings import Settings
from hanlin.eval.metric import ratio
from hanlin.eval.metrics.accuracy import rated
from hanlin.eval.sample import Reply, Sample
from hanlin.eval.words import words


class Metric(Settings):
    """Share of pairs of wordings with one answer."""

    RANGE: ClassVar = (0.0, 1.0)
    IS_HIGHER_BETTER: ClassVar = True
    VERSION: ClassVar = "1"
    IDENTITY: ClassVar = None

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(pairs alike, pairs) of a question, at its first wording. No answer is like no other."""
        rows: np.ndarray = np.zeros((len(samples), 2))
        seen: dict[str, list[int]] = {}
        for place, sample in enumerate(samples):
            seen.setdefault(sample.cluster or f"\0{place}", []).append(place)
        for places in seen.values():
            said = [_answer(samples[place], replies[place]) for place in places]
            pairs = list(combinations(said, 2))
            rows[places[0]] = sum(one is not None and one == other for one, other in pairs), len(pairs)
        return rows

    def value(self, sums: np.ndarray) -> np.ndarray:
        """nan where no question is asked twice."""
        return ratio(sums[..., 0], sums[..., 1])


def _answer(sample: Sample, reply: Reply) -> Hashable:
    """The choice, or the words that were written."""
    if sample.choices and len(reply.loglikelihoods):
        return int(np.argmax(rated(sample, reply, "nothing")))
    return tuple(words(reply.text)) or None
