"""Calibration: log-likelihoods of the choices in, how far confidence and accuracy are apart out.

Confidence is the largest of the choices' probabilities (softmax of their log-likelihoods). Items are put into bins of
equal width by it; the expected calibration error is the mean over items of |accuracy - confidence| of their bin, with
bins as torchmetrics makes them: a confidence on a border belongs to the lower bin. (Guo et al. 2017)
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from hanlin.core.settings import Settings
from hanlin.eval.metric import need, ratio
from hanlin.eval.metrics.brier import probabilities
from hanlin.eval.sample import Reply, Sample


class Metric(Settings):
    """Expected calibration error."""

    bins: int = Field(15, ge=1, le=1000)
    """Of equal width, between 0 and 1."""

    RANGE: ClassVar = (0.0, 1.0)
    IS_HIGHER_BETTER: ClassVar = False
    VERSION: ClassVar = "1"
    IDENTITY: ClassVar = (Sample(choices=("no", "yes"), gold=(1,)), Reply(loglikelihoods=(-1000.0, 0.0)), 0.0)

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """For each bin (items, confidence, right)."""
        need(samples, "choices", "ece")
        need(samples, "gold", "ece")
        rows = np.zeros((len(samples), self.bins, 3))
        borders = np.linspace(0, 1, self.bins + 1)
        for row, sample, reply in zip(rows, samples, replies, strict=True):
            shares = probabilities(sample, reply)
            place = int(shares.argmax())
            within = int(np.clip(np.searchsorted(borders, shares[place], side="left") - 1, 0, self.bins - 1))
            row[within] = 1, shares[place], place in sample.gold
        return rows.reshape(len(rows), -1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Σ |right - confidence| over the bins, per item."""
        bins = sums.reshape(*sums.shape[:-1], self.bins, 3)
        return ratio(np.abs(bins[..., 2] - bins[..., 1]).sum(-1), bins[..., 0].sum(-1))

    def diagram(self, sums: np.ndarray) -> list[tuple[float, float, int]]:
        """(confidence, accuracy, items) of each bin that has any: the points of a reliability diagram."""
        bins = sums.reshape(self.bins, 3)
        return [(confidence / n, right / n, int(n)) for n, confidence, right in bins if n]
