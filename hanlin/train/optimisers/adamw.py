"""Adam with decay that is none of the gradient's business (https://arxiv.org/abs/1711.05101)."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from hanlin.train import optimisers
from hanlin.train.optimisers._moves import Group, Moves
from hanlin.train.optimisers._parts import parts


class Optimiser(optimisers.Optimiser):
    """Settings of `train.optimiser.use = "adamw"`."""

    RATE: ClassVar[float] = 2e-4
    use: Literal["adamw"] = "adamw"
    """The file of this optimiser."""
    betas: tuple[float, float] = (0.9, 0.95)
    """How slowly the mean of the gradients and that of their squares change."""
    epsilon: float = Field(default=1e-8, gt=0)
    """Added to the root of the mean square."""
    decay: float = Field(default=0.01, ge=0)
    """Each step takes this share, times the rate, off the weights of matrices."""
    is_all_decayed: bool = False
    """Norms, biases and embeddings, too."""

    def build(self, network: nn.Module, rate: float) -> torch.optim.Optimizer:
        """Two groups: what decays, and what does not."""
        found = parts(network)
        decayed = [*(it.weight for it in found.hidden), *found.heads, *found.added]
        kept = [*found.embeddings, *found.rest]
        groups = [
            group(decayed, rate, 1.0, self.betas, self.epsilon, self.decay),
            group(kept, rate, 1.0, self.betas, self.epsilon, self.decay if self.is_all_decayed else 0.0),
        ]
        return Moves([it for it in groups if it["params"]])


def group(
    params: list[nn.Parameter], rate: float, scale: float, betas: tuple[float, float], epsilon: float, decay: float
) -> Group:
    """Parameters that AdamW moves, at a rate of their own."""
    return {
        "kind": "adamw",
        "params": params,
        "lr": rate * scale,
        "scale": scale,
        "is_clipped": True,
        "betas": betas,
        "eps": epsilon,
        "weight_decay": decay,
    }
