"""Brier score: log-likelihoods of the choices in, the mean squared distance of the probabilities from the truth out.

Probabilities are the softmax of the log-likelihoods, and all choices count, so 2 is the worst: as lm-eval has it.
With two choices it is twice what scikit-learn calls by that name. (Brier 1950)
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from hanlin.core.settings import Settings
from hanlin.eval.metric import mean_rows, mean_value, need
from hanlin.eval.metrics.accuracy import rated
from hanlin.eval.sample import Reply, Sample


class Metric(Settings):
    """Mean squared distance between what was thought and what is so."""

    RANGE: ClassVar = (0.0, 2.0)
    IS_HIGHER_BETTER: ClassVar = False
    IS_MEAN: ClassVar = True
    VERSION: ClassVar = "1"
    IDENTITY: ClassVar = (Sample(choices=("no", "yes"), gold=(1,)), Reply(loglikelihoods=(-1000.0, 0.0)), 0.0)

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(distance, 1); a reply that says nothing counts as equal chances. Several right choices share the truth."""
        need(samples, "choices", "brier")
        need(samples, "gold", "brier")
        return mean_rows([_distance(*pair) for pair in zip(samples, replies, strict=True)])

    value = staticmethod(mean_value)


def probabilities(sample: Sample, reply: Reply) -> np.ndarray:
    """Of the choices, if it must be one of them."""
    likely = rated(sample, reply, "nothing")
    if not len(likely):
        return np.full(len(sample.choices), 1 / len(sample.choices))
    high = np.exp(likely - likely.max())
    return high / high.sum()


def _distance(sample: Sample, reply: Reply) -> float:
    truth = np.zeros(len(sample.choices))
    truth[list(sample.gold)] = 1 / len(sample.gold)
    return float(((probabilities(sample, reply) - truth) ** 2).sum())
