"""Accuracy of choosing: log-likelihoods of the choices in, the share of items whose likeliest choice is right out.

Long choices are less likely than short ones; `by` says what a choice's log-likelihood is divided by, or freed from.
The first three are lm-eval's acc, acc_norm and acc_bytes; "pmi" is its acc_mutual_info (Brown et al. 2020, §2.4:
answers that are likely anyway lose their advantage). Of equally good choices the first is taken, as lm-eval does.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from hanlin.core.errors import DataError, shown
from hanlin.core.settings import Settings
from hanlin.eval.metric import mean_rows, mean_value, need
from hanlin.eval.sample import Reply, Sample

By = Literal["nothing", "characters", "bytes", "tokens", "pmi"]


class Metric(Settings):
    """The share of right choices."""

    by: By = "nothing"
    """What the length of a choice is measured in; pmi compares with its likelihood after a neutral prompt instead."""

    RANGE: ClassVar = (0.0, 1.0)
    IS_HIGHER_BETTER: ClassVar = True
    IS_MEAN: ClassVar = True
    VERSION: ClassVar = "1"
    IDENTITY: ClassVar = (
        Sample(choices=("no", "yes"), gold=(1,)),
        Reply(loglikelihoods=(-3.0, -1.0), alone=(-1.0, -1.0), tokens=(1, 1)),
        1.0,
    )

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(right, 1). A reply that says nothing about the choices is wrong."""
        need(samples, "choices", "accuracy")
        need(samples, "gold", "accuracy")
        return mean_rows([self._is_right(*pair) for pair in zip(samples, replies, strict=True)])

    def _is_right(self, sample: Sample, reply: Reply) -> float:
        scores = rated(sample, reply, self.by)
        return float(int(np.argmax(scores)) in sample.gold) if len(scores) else 0.0

    value = staticmethod(mean_value)


def rated(sample: Sample, reply: Reply, by: By) -> np.ndarray:
    """What the choices are compared by; empty of an empty reply.

    Raises:
        DataError: the reply has not one figure for each choice.
    """
    likely = np.array(reply.loglikelihoods)
    if not len(likely):
        return likely
    _check(sample, len(likely), "log-likelihoods")
    if by == "characters":
        return likely / np.array([float(len(choice)) for choice in sample.choices])
    if by == "bytes":
        return likely / np.array([float(len(choice.encode())) for choice in sample.choices])
    if by == "tokens":
        _check(sample, len(reply.tokens), "token counts")
        return likely / np.array(reply.tokens)
    if by == "pmi":
        _check(sample, len(reply.alone), "log-likelihoods after a neutral prompt")
        return likely - np.array(reply.alone)
    return likely


def _check(sample: Sample, count: int, what: str) -> None:
    if count != len(sample.choices):
        raise DataError(
            f"item {shown(sample.id)} has {len(sample.choices)} choices and {count} {what}", "give one for each choice"
        )
