"""Muon: matrices inside of the layers move by orthogonal updates (https://kellerjordan.github.io/posts/muon/).

Embeddings, head, norms, biases and whatever adapters add move by AdamW, each at a rate of its own. Maps that lie
stacked in one matrix (queries, keys and values; gate and up) are orthogonalised one by one. The size of an update does
not depend on the gradient's, so clipping by a global norm would only do harm: Muon's groups carry `is_clipped` = False.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from hanlin.train import optimisers
from hanlin.train.optimisers._moves import Group, Moves
from hanlin.train.optimisers._parts import parts
from hanlin.train.optimisers.adamw import group
from hanlin.train.orthogonal import Coefficients


class Optimiser(optimisers.Optimiser):
    """Settings of `train.optimiser.use = "muon"`."""

    RATE: ClassVar[float] = 0.02
    use: Literal["muon"] = "muon"
    """The file of this optimiser."""
    momentum: float = Field(default=0.95, ge=0, lt=1)
    """How slowly the mean of the gradients changes; Nesterov's look ahead is always on."""
    decay: float = Field(default=0.05, ge=0)
    """Each step takes this share, times the rate, off the weights of matrices."""
    coefficients: Coefficients = "muon"
    """Of the iteration that makes updates orthogonal: Muon's own, or the optimal ones."""
    steps: int = Field(default=5, ge=1, le=20)
    """How often it is applied."""
    is_normed: bool = False
    """Rows of an update are made equally large in the long run (NorMuon)."""
    is_cautious: bool = False
    """Weights decay only where that goes the same way as the update."""
    embedding_scale: float = Field(default=0.15, gt=0)
    """Rate of embeddings, moved by AdamW, as a share of the matrices'."""
    head_scale: float = Field(default=0.2, gt=0)
    """The same of an untied head."""
    rest_scale: float = Field(default=0.15, gt=0)
    """The same of norms and biases."""
    adapter_scale: float = Field(default=0.01, gt=0)
    """The same of what adapters add."""
    betas: tuple[float, float] = (0.8, 0.95)
    """AdamW's."""
    epsilon: float = Field(default=1e-10, gt=0)
    """AdamW's."""

    def build(self, network: nn.Module, rate: float) -> torch.optim.Optimizer:
        """A group of matrices, and up to four that AdamW moves."""
        found = parts(network)
        matrices: Group = {
            "kind": "muon",
            "params": [it.weight for it in found.hidden],
            "rows": [it.rows for it in found.hidden],
            "lr": rate,
            "scale": 1.0,
            "is_clipped": False,
            "momentum": self.momentum,
            "weight_decay": self.decay,
            "coefficients": self.coefficients,
            "steps": self.steps,
            "is_normed": self.is_normed,
            "is_cautious": self.is_cautious,
        }
        others = (
            (found.embeddings, self.embedding_scale),
            (found.heads, self.head_scale),
            (found.added, self.adapter_scale),
            (found.rest, self.rest_scale),
        )
        groups = [matrices, *(group(params, rate, scale, self.betas, self.epsilon, 0.0) for params, scale in others)]
        return Moves([it for it in groups if it["params"]])
