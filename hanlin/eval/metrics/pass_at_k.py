"""pass@k: programs in, the chance that one of k drawn ones passes its tests out.

Of n answers to an item of which c pass, 1 - C(n - c, k) / C(n, k), which is unbiased (Chen et al. 2021,
https://arxiv.org/abs/2107.03374). Each is run in the sandbox, between `Sample.more["before"]` and
`Sample.more["tests"]`. A program that goes looking for the sandbox's own variables could say that it passed; those
that end early cannot.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from hanlin.core.errors import DataError, shown
from hanlin.core.settings import Settings
from hanlin.eval.metric import mean_rows, mean_value, need
from hanlin.eval.sample import Reply, Sample
from hanlin.eval.sandbox import run


class Metric(Settings):
    """Chance that one of k programs passes."""

    k: int = Field(1, ge=1)
    """Programs drawn; each item needs as many answers."""
    seconds: float = Field(5.0, gt=0)
    """For one program."""

    RANGE: ClassVar = (0.0, 1.0)
    IS_HIGHER_BETTER: ClassVar = True
    IS_MEAN: ClassVar = True
    VERSION: ClassVar = "1"
    IDENTITY: ClassVar = (
        Sample(more={"before": "def f():\n", "tests": "assert f() == '翰林'"}),
        Reply(texts=("    return '翰林'",)),
        1.0,
    )

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(chance, 1); an item without an answer is failed.

        Raises:
            DataError: an item has no tests, or fewer answers than k.
            RefusedError: programs cannot be closed in on this system.
        """
        need(samples, "more", "pass_at_k")
        return mean_rows([self._chance(*pair) for pair in zip(samples, replies, strict=True)])

    def _chance(self, sample: Sample, reply: Reply) -> float:
        if not isinstance(sample.more.get("tests"), str):
            raise DataError(f"item {shown(sample.id)} has no tests", 'give them as more["tests"]')
        count = len(reply.texts)
        if 0 < count < self.k:
            raise DataError(f"item {shown(sample.id)} has {count} answers, fewer than k = {self.k}", "draw more")
        passed = sum(run(program(sample, text), self.seconds).is_well for text in reply.texts if text.strip())
        return 1 - math.comb(count - passed, self.k) / math.comb(count, self.k) if count else 0.0

    value = staticmethod(mean_value)


def program(sample: Sample, answer: str) -> str:
    """What is run."""
    return f"{sample.more.get('before', '')}{answer}\n{sample.more['tests']}\n"
