"""Marked tokens in, tensors out: the one kind of batch that every objective takes.

B rows of T positions. `tokens` are what the model reads; at each position `targets` is what it should say next and
`weights` how much that counts: 0 and 1 are the mask of fine-tuning, real numbers are advantages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Int32
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Marked:
    """An example as tokens, and which of them the model is graded on."""

    ids: Int32[np.ndarray, " N"]
    """All tokens, special ones included."""
    graded: Bool[np.ndarray, " N"] | None = None
    """Tokens the model is to predict; None for all. The first of a text can never be."""
    labels: tuple[float, ...] = ()
    """Of the whole example: a class, one 0 or 1 per class, a number, whether it is wanted."""
    rejected: "Marked | None" = None
    """The worse end of a preference; `ids` is then the better one."""
    facts: Mapping[str, Any] | None = None
    """What a reward needs; plain JSON."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What one forward pass takes."""

    tokens: Int[Tensor, "B T"]
    targets: Int[Tensor, "B T"]
    weights: Float[Tensor, "B T"]
    documents: Int[Tensor, "B T"] | None = None
    """Which of the row's texts each position belongs to, ascending; attention and positions begin anew with each.

    None: every row is one text, padded on the right, which a causal model cannot see.
    """
    labels: Float[Tensor, "B C"] | None = None
    """`Marked.labels` of each row."""
    rejected: "Batch | None" = None
    """Row by row the worse ends of preferences."""
    facts: tuple[Mapping[str, Any], ...] = ()
    """`Marked.facts` of each row."""

    @property
    def rows(self) -> int:
        """B."""
        return self.tokens.shape[0]
