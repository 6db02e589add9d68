"""Weights divided among processes (FSDP2, https://arxiv.org/abs/2304.11277): each keeps a part of every weight, of its
gradient and of the optimiser's state, and has a layer whole only while it computes with it.

A built model and its optimiser in; the same ones divided, in place. The optimiser moves this process's parts as plain
tensors. What leaves a run, and what comes back into it, is whole: a checkpoint does not tell how many wrote it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, Shard

from hanlin.core.errors import ConfigError
from hanlin.train.crew import Crew
from hanlin.train.pupil import Learner


class Shards:
    """The parts of one run's weights that this process keeps."""

    def __init__(self, learner: Learner, optimiser: torch.optim.Optimizer, crew: Crew, device: torch.device) -> None:
        """Divide the weights by their rows, and give the optimiser the parts.

        Raises:
            ConfigError: the optimiser needs whole matrices.
        """
        if any(group.get("kind") == "muon" for group in optimiser.param_groups):
            what = 'train.sharding = "fsdp": Muon turns whole matrices, and no process would have them'
            raise ConfigError(what, 'train.sharding = "ddp", or train.optimiser = {use = "adamw"}')
        self.crew, self.learner = crew, learner
        names = {weight: name for name, weight in learner.named_parameters()}
        wanted = [[names[weight] for weight in group["params"]] for group in optimiser.param_groups]
        self.modules = _divide(learner, crew.count, device)
        self.divided = {name: cast("DTensor", weight) for name, weight in learner.named_parameters()}
        self.own = {name: nn.Parameter(_local(self.divided[name])) for group in wanted for name in group}
        self.order = [name for group in wanted for name in group]
        for group, chosen in zip(optimiser.param_groups, wanted, strict=True):
            group["params"] = [self.own[name] for name in chosen]

    def take_gradients(self) -> None:
        """Give the optimiser the gradients, which the way back has added up over all processes and divided."""
        for name, own in self.own.items():
            weight = self.divided[name]
            own.data = _local(weight)
            own.grad = torch.zeros_like(own) if weight.grad is None else _local(cast("DTensor", weight.grad))
            weight.grad = None

    def norm(self, own: float) -> float:
        """Of all processes' gradients as one vector, from the norm of this one's."""
        return sum(part * part for part in self.crew.told(own)) ** 0.5

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Every process has all weights, as plain ones: to read, write or generate with, but not to learn."""
        for module in self.modules:
            module.set_reshard_after_forward(False)
            module.unshard()
        try:
            yield
        finally:
            self.learner.network.set_reshard_after_forward(True)  # pyright: ignore[reportCallIssue]
            for module in self.modules:
                module.reshard()
            self.learner.network.set_reshard_after_forward(False, recurse=False)  # pyright: ignore[reportCallIssue]

    @contextmanager
    def copied(self) -> Iterator[None]:
        """Within `whole`: copies stand in for the weights. What NumPy has seen, torch cannot let go of again."""
        weights = list(self.learner.parameters())
        kept = [weight.data for weight in weights]
        try:
            for weight in weights:
                weight.data = weight.data.clone()
            yield
        finally:
            for weight, own in zip(weights, kept, strict=True):
                weight.data = own

    def gathered(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """An optimiser's `state_dict` with whole tensors."""

        def whole(name: str, value: Any) -> Any:
            like = self.divided[name]
            if not isinstance(value, Tensor) or value.shape != self.own[name].shape:
                return value
            placed = DTensor.from_local(value, like.device_mesh, [Shard(0)], shape=like.shape, stride=like.stride())
            return placed.full_tensor()

        return self._each(state, whole)

    def scattered(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """A whole `state_dict` with this process's parts."""

        def part(name: str, value: Any) -> Any:
            like = self.divided[name]
            return share(value, like) if isinstance(value, Tensor) and value.shape == like.shape else value

        return self._each(state, part)

    def _each(self, state: Mapping[str, Any], change: Any) -> dict[str, Any]:
        kept = {
            index: {key: change(self.order[index], value) for key, value in sorted(entry.items())}
            for index, entry in sorted(state["state"].items())
        }
        return {**state, "state": kept}


def put(weight: Tensor, value: Tensor) -> None:
    """Write a whole value into a weight, whether it is divided or not."""
    if isinstance(weight, DTensor):
        _local(weight).copy_(share(value, weight))
    else:
        weight.copy_(value)


def share(value: Tensor, like: DTensor) -> Tensor:
    """The rows of a whole tensor that this process keeps."""
    mesh = like.device_mesh
    parts = value.chunk(mesh.size())
    rank = mesh.get_local_rank()
    return (parts[rank] if rank < len(parts) else value[:0]).clone()


def _local(weight: DTensor) -> Tensor:
    """This process's part, in the same memory."""
    return weight._local_tensor.detach()


def _divide(learner: Learner, count: int, device: torch.device) -> list[FSDPModule]:
    mesh = init_device_mesh(device.type, (count,))
    network, head = learner.network, getattr(learner, "head", None)
    parts: list[nn.Module] = [*network.layers, network, *([head] if head is not None else [])]
    family = type(network).__module__
    for part in parts:
        fully_shard(part, mesh=mesh)
    type(network).__module__ = family  # where a network's names are looked up; its class is a new one
    # Objectives call `trunk`, and `forward` does, too: hooks on both would let go of the weights twice.
    network._forward_pre_hooks.clear()
    network._forward_hooks.clear()
    register_fsdp_forward_method(network, "trunk")
    modules = cast("list[FSDPModule]", parts)
    for module in modules:
        module.set_gradient_divide_factor(1.0)  # sums: the loop divides them by what all graded tokens weigh
        module.set_force_sum_reduction_for_comms(True)
        module.set_reduce_scatter_unused_params(True)  # an expert may be asked by one process alone
    return modules
