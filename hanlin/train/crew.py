"""The processes that train together: who this one is, what they add up and agree on. Alone, all of it does nothing.

Between processes of a processor by gloo, between GPUs by NCCL (https://docs.pytorch.org/docs/stable/distributed.html).
Each dies within an hour of the others falling silent; its launcher sees to it sooner.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from hanlin.core.errors import ConfigError

Found = TypeVar("Found")
PATIENCE = timedelta(hours=1)
"""The longest wait for the others: one of them may be reading the data of a long run."""
BUCKET = 1 << 23
"""Gradients that are added up at once: as few calls as for one of 32 MiB, and little memory beside them."""


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
        """The sum over all processes of each number; one that a process does not have is 0 there."""
        if self.count == 1:
            return dict(numbers)
        sums: dict[str, float] = {}
        for one in self.told(dict(numbers)):
            for name, value in one.items():
                sums[name] = sums.get(name, 0.0) + float(value)
        return sums

    def told(self, value: Any) -> list[Any]:
        """What each process says, by rank."""
        if self.count == 1:
            return [value]
        found: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(found, value)
        return found

    def led(self, make: Callable[[], Found]) -> Found:
        """What the leader finds: what differs by clock or measurement is found once, and holds for all."""
        if self.count == 1:
            return make()
        found = [make() if self.leads else None]
        torch.distributed.broadcast_object_list(found)
        return found[0]  # pyright: ignore[reportReturnType]

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes."""
        if self.count == 1:
            return
        waiting: list[Tensor] = []
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if waiting and (
                waiting[0].dtype != parameter.grad.dtype
                or sum(it.numel() for it in waiting) + parameter.grad.numel() > BUCKET
            ):
                _add_up(waiting)
                waiting = []
            waiting.append(parameter.grad)
        _add_up(waiting)

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            torch.distributed.barrier()


def _add_up(tensors: list[Tensor]) -> None:
    """Each tensor's sum over all processes, in one call."""
    if len(tensors) == 1 and tensors[0].is_contiguous():
        torch.distributed.all_reduce(tensors[0])
    elif tensors:
        flat = torch.cat([it.flatten() for it in tensors])
        torch.distributed.all_reduce(flat)
        parts = flat.split([it.numel() for it in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


def joined() -> Crew:
    """This process's place among those that a launcher started, once all have met.

    Raises:
        ConfigError: they cannot meet.
    """
    if torch.distributed.is_initialized():  # Ray's workers have met already
        return Crew(torch.distributed.get_rank(), torch.distributed.get_world_size())
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Crew()
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    try:
        torch.distributed.init_process_group(backend, timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        what = f"worker {rank} of {count} cannot meet the others: {str(error).splitlines()[0]}"
        raise ConfigError(what, "MASTER_ADDR and MASTER_PORT name the first one's machine; see docs/scale.md") from None
    return Crew(rank, count)


def parted() -> None:
    """Leave the others, in good order."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
