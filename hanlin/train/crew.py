"""The processes that train together; alone, everything here does nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Crew:
    """Who this process is among `count`: rows of a batch are dealt out by turns, gradients and tallies are added up."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """The one that writes, prints and saves."""
        return self.rank == 0

    def added(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The sum over all processes of each number."""
        if self.count == 1:
            return dict(numbers)
        total = torch.tensor(list(numbers.values()), dtype=torch.float64)
        torch.distributed.all_reduce(total)
        return dict(zip(numbers, total.tolist(), strict=True))

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            torch.distributed.all_reduce(parameter.grad)

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            torch.distributed.barrier()
