"""Memorisation: how likely a planted secret is among others of its kind in, its exposure in bits out.

Carlini et al. 2019, §4 (https://arxiv.org/abs/1802.08232): log2 of the number of candidates less log2 of the secret's
rank. 0 is the least likely of all, log2 of their number the likeliest: the model has learnt it by heart. A model
that never saw the secrets has 1.44 bits on average (log2 e) among many candidates.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from hanlin.core.settings import Settings
from hanlin.eval.metric import mean_rows, mean_value, need
from hanlin.eval.metrics.accuracy import rated
from hanlin.eval.sample import Reply, Sample


class Metric(Settings):
    """Mean exposure, bits."""

    RANGE: ClassVar = (0.0, math.inf)
    IS_HIGHER_BETTER: ClassVar = False
    IS_MEAN: ClassVar = True
    VERSION: ClassVar = "1"
    IDENTITY: ClassVar = None

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(bits, 1); of equally likely candidates the secret is the last. A reply that says nothing exposes nothing."""
        need(samples, "choices", "exposure")
        need(samples, "gold", "exposure")
        return mean_rows([self._bits(*pair) for pair in zip(samples, replies, strict=True)])

    def _bits(self, sample: Sample, reply: Reply) -> float:
        likely = rated(sample, reply, "nothing")
        if not len(likely):
            return 0.0
        rank = int((likely >= likely[sample.gold[0]]).sum())
        return math.log2(len(likely)) - math.log2(rank)

    value = staticmethod(mean_value)
