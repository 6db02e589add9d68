"""Marked tokens in, tensors out: the one kind of batch that every objective takes.

B rows of T positions. `tokens` are what the model reads; at each position `targets` is what it should say next and
`weights` how much that counts: 0 and 1 are the mask of fine-tuning, real numbers are advantages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
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

    None: every row is one text, padded on the right at most, which a causal model cannot see. Padding, where there is
    any, is the last document of its row.
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


def collate(rows: Sequence[Sequence[Marked]], *, shifts: bool, pad: int, width: int | None = None) -> Batch:
    """Rows of one or several pieces each as one batch, padded on the right.

    With `shifts` a piece of n tokens takes n - 1 positions, each of which predicts the token after it within the same
    piece: so the first token of a piece is never graded, and no position is spent on a piece's last token. Without,
    targets are the tokens themselves. Rows are `width` positions wide, or as wide as the widest.
    """
    less = 1 if shifts else 0
    wide = max(sum(len(piece.ids) - less for piece in row) for row in rows)
    wide = max(wide, 1) if width is None else width
    tokens = np.full((len(rows), wide), pad, np.int64)
    targets = tokens.copy()
    weights = np.zeros((len(rows), wide), np.float32)
    documents = np.zeros((len(rows), wide), np.int64)
    for at, row in enumerate(rows):
        place = 0
        for number, piece in enumerate(row):
            end = place + len(piece.ids) - less
            tokens[at, place:end] = piece.ids[: len(piece.ids) - less]
            targets[at, place:end] = piece.ids[less:]
            weights[at, place:end] = 1 if piece.graded is None else piece.graded[less:]
            documents[at, place:end] = number
            place = end
        documents[at, place:] = len(row)
    has_several = any(len(row) > 1 for row in rows)
    is_padded = not shifts and bool((documents[:, -1] == [len(row) for row in rows]).any())
    whole = [row[0] for row in rows] if all(len(row) == 1 for row in rows) else []
    assert whole or not any(piece.labels or piece.rejected or piece.facts for row in rows for piece in row)
    worse = [[piece.rejected] for piece in whole if piece.rejected is not None]
    assert len(worse) in (0, len(rows)), "pairs and single texts in one batch"
    labels = [piece.labels for piece in whole if piece.labels]
    return Batch(
        torch.from_numpy(tokens),
        torch.from_numpy(targets),
        torch.from_numpy(weights),
        torch.from_numpy(documents) if has_several or is_padded else None,
        torch.tensor(labels, dtype=torch.float32) if labels else None,
        collate(worse, shifts=shifts, pad=pad) if worse else None,
        tuple(piece.facts or {} for piece in whole) if any(piece.facts for piece in whole) else (),
    )
