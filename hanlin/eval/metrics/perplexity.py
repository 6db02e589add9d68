"""How well a text is known: its log-likelihood and sizes in, perplexity or bits per byte out, by lm-eval's conventions.

exp(-Σ log-likelihood / Σ units) over all texts together; bits per byte is -Σ / Σ bytes / ln 2. Bytes are those of the
original UTF-8; words are what `\\s+` splits, which counts an empty word before leading and after trailing white space.
Perplexity per token compares models of one tokenizer only, bits per byte any.
"""

import math
import re
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from hanlin.core.errors import DataError, shown
from hanlin.core.settings import Settings
from hanlin.eval.metric import need, ratio
from hanlin.eval.sample import Reply, Sample


class Metric(Settings):
    """Perplexity per unit, or bits per byte."""

    per: Literal["token", "word", "byte", "bits"] = "bits"
    """The unit; bits is bits per byte."""

    RANGE: ClassVar = (0.0, math.inf)
    IS_HIGHER_BETTER: ClassVar = False
    VERSION: ClassVar = "1"
    IDENTITY: ClassVar = None

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(log-likelihood, units)."""
        need(samples, "references", "perplexity")
        rows = [(_likelihood(*pair), self._units(*pair)) for pair in zip(samples, replies, strict=True)]
        return np.array(rows, dtype=np.float64)

    def _units(self, sample: Sample, reply: Reply) -> int:
        text = sample.references[0]
        if self.per == "token":
            return sum(reply.tokens)
        return len(re.split(r"\s+", text)) if self.per == "word" else len(text.encode())

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Of all texts as one."""
        mean = -ratio(sums[..., 0], sums[..., 1])
        if self.per == "bits":
            return np.asarray(mean / math.log(2))
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(mean))


def _likelihood(sample: Sample, reply: Reply) -> float:
    if not reply.loglikelihoods or not reply.tokens:
        raise DataError(f"text {shown(sample.id)} has no log-likelihood", "let the model read it first")
    return sum(reply.loglikelihoods)
