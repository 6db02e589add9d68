"""A running mean of the weights: what is validated and exported is steadier than what is trained.

Exponential, as in https://arxiv.org/abs/2411.18704: after each step mean ← decay · mean + (1 - decay) · weights.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Mean:
    """Of the parameters that learn, in float32."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {
            name: it.detach().float().clone() for name, it in network.named_parameters() if it.requires_grad
        }

    @torch.no_grad()
    def add(self, network: nn.Module) -> None:
        """Take the weights after a step into the mean."""
        new = dict(network.named_parameters())
        for name, mean in self.weights.items():
            mean.lerp_(new[name].float(), 1 - self.decay)

    @contextmanager
    def inside(self, network: nn.Module) -> Iterator[None]:
        """The network with the mean for its weights; afterwards its own are back, bit for bit."""
        own = dict(network.named_parameters())
        kept = {name: own[name].data for name in self.weights}
        try:
            for name, mean in self.weights.items():
                own[name].data = mean.to(kept[name].dtype)
            yield
        finally:
            for name, weights in kept.items():
                own[name].data = weights

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from saved `weights`."""
        assert weights.keys() == self.weights.keys(), "the mean is of other parameters"
        for name, mean in self.weights.items():
            mean.copy_(weights[name])
