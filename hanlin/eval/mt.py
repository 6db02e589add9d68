"""The part that BLEU, chrF and TER share: a scorer of sacreBLEU and items in, its counts for each item out, and back.

sacreBLEU counts item by item and adds the counts up; both halves are its own code, so figures are equal to the last
bit.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from jaxtyping import Float

from hanlin.eval.metric import each_row, need
from hanlin.eval.sample import Reply, Sample


def counted(scorer: Any, name: str, samples: Sequence[Sample], replies: Sequence[Reply]) -> Float[np.ndarray, "N K"]:
    """A row of counts for each item. Raises DataError if one has no reference."""
    need(samples, "references", name)
    streams = list(zip_longest(*(sample.references for sample in samples)))
    return np.array(scorer._extract_corpus_statistics([reply.text for reply in replies], streams), dtype=np.float64)


def total(scorer: Any, sums: Float[np.ndarray, "*D K"]) -> Float[np.ndarray, "*D"]:
    """The scorer's figure for rows of summed counts."""
    return each_row(lambda row: scorer._compute_score_from_stats(row).score, sums)
