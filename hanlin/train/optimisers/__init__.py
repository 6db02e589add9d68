"""How weights move: one file each, named by `train.optimiser.use`."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hanlin.core.settings import Settings


class Optimiser(Settings):
    """The parent of each file's `Optimiser`: settings whose `build` makes the thing that steps."""

    RATE: ClassVar[float] = 1e-3
    """The learning rate if the run file has none."""

    def build(self, network: nn.Module, rate: float) -> torch.optim.Optimizer:
        """An optimiser of the parameters that learn; each group's "scale" multiplies the rate of a step.

        Its `state_dict` holds tensors and plain numbers only. Master weights of bfloat16 parameters are float32 and
        part of its state.
        """
        raise NotImplementedError


State = Mapping[str, Any | Tensor]
