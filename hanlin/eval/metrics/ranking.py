"""Ranking: scores of some documents in, how high the right ones come out: nDCG, MRR or recall among the first k.

`Sample.choices` are the documents, `Sample.gold` the right ones (of relevance 1, unless `Sample.more["relevance"]`
gives one for each), `Reply.loglikelihoods` what they are ranked by. nDCG is scikit-learn's, gains linear, which
averages over the orders of equally ranked documents; for MRR and recall a right document comes after those ranked
equally.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from hanlin.core.errors import DataError, shown
from hanlin.core.settings import Settings
from hanlin.eval.metric import library, mean_rows, mean_value, need
from hanlin.eval.metrics.accuracy import rated
from hanlin.eval.sample import Reply, Sample


class Metric(Settings):
    """How high the right documents come."""

    which: Literal["ndcg", "mrr", "recall"] = "ndcg"
    """recall is the share of the right documents among the first k; mrr is 1 / place of the first right one."""
    k: int = Field(10, ge=1)
    """Places that count."""

    RANGE: ClassVar = (0.0, 1.0)
    IS_HIGHER_BETTER: ClassVar = True
    IS_MEAN: ClassVar = True
    VERSION: ClassVar = library("scikit-learn")
    IDENTITY: ClassVar = (Sample(choices=("a", "b", "c"), gold=(1,)), Reply(loglikelihoods=(0.0, 2.0, 1.0)), 1.0)

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(figure, 1); a reply that ranks nothing finds nothing."""
        need(samples, "choices", "ranking")
        need(samples, "gold", "ranking")
        return mean_rows([self._one(*pair) for pair in zip(samples, replies, strict=True)])

    def _one(self, sample: Sample, reply: Reply) -> float:
        scores = rated(sample, reply, "nothing")
        if not len(scores):
            return 0.0
        if self.which == "ndcg":
            from sklearn.metrics import ndcg_score

            grades = relevance(sample)
            if len(scores) == 1:  # it refuses what cannot be ranked wrongly
                return 1.0
            return float(ndcg_score([grades], [scores], k=self.k))
        places = [int((scores >= scores[one]).sum()) for one in sample.gold]
        if self.which == "mrr":
            return 1 / min(places) if min(places) <= self.k else 0.0
        return sum(place <= self.k for place in places) / len(places)

    value = staticmethod(mean_value)


def relevance(sample: Sample) -> np.ndarray:
    """Of each document.

    Raises:
        DataError: the item gives another number of them than it has documents.
    """
    given = sample.more.get("relevance")
    if given is not None:
        if len(given) != len(sample.choices):
            what = f"item {shown(sample.id)} has {len(sample.choices)} documents and {len(given)} relevances"
            raise DataError(what, "give one for each")
        return np.asarray(given, dtype=np.float64)
    found = np.zeros(len(sample.choices))
    found[list(sample.gold)] = 1
    return found
