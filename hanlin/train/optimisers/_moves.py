"""Gradients in, moved weights out: the one optimiser behind all files here, whose groups say how they move.

A group's "kind" is "adamw" or "muon". Parameters of less than float32 have a float32 master in the state, which is what
moves; they are its rounded copy.

AdamW: https://arxiv.org/abs/1711.05101, by torch's fused kernel: one pass over weights, gradients and both moments.
Muon: https://kellerjordan.github.io/posts/muon/; NorMuon: https://arxiv.org/abs/2510.05491; decay only where it goes
the same way as the update: https://arxiv.org/abs/2510.12402.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from hanlin.core.machine import cpuinfo, instruction_sets
from hanlin.train.orthogonal import orthogonalised

Group = dict[str, Any]
LARGEST = 1 << 22
"""Numbers that are orthogonalised at once: enough for small matrices to share a kernel, little beside the weights."""
SECOND_DECAY = 0.9
"""NorMuon's, of the mean square per row or column."""


class Moves(torch.optim.Optimizer):
    """An optimiser whose groups have "kind", "lr", "scale", "is_clipped" and what their kind needs."""

    def __init__(self, groups: list[Group]) -> None:
        super().__init__(groups, {})
        self.product_dtype = _product_dtype()

    def begin(self) -> None:
        """Make AdamW's moments before the first step, whose own memory is one piece then, for the next to take."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if group["kind"] == "adamw" and parameter.dtype in (torch.float32, torch.float64):
                    _begin(self.state[parameter], parameter)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every parameter that has a gradient."""
        assert closure is None, "the loss is the loop's to compute"
        for group in self.param_groups:
            move = _muon if group["kind"] == "muon" else _adamw
            move(self, group)

    @torch.no_grad()
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As torch's, but bit for bit: torch rounds the state of bfloat16 parameters to bfloat16."""
        super().load_state_dict(dict(state_dict))
        parameters = [it for group in self.param_groups for it in group["params"]]
        numbers = [it for group in state_dict["param_groups"] for it in group["params"]]
        for number, parameter in zip(numbers, parameters, strict=True):
            for key, value in state_dict["state"].get(number, {}).items():
                self.state[parameter][key] = value.to(parameter.device, copy=True)

    def moving(self, group: Group) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(parameter, the float32 tensor that moves, its gradient in float32)."""
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            if parameter.dtype in (torch.float32, torch.float64):
                yield parameter, parameter, parameter.grad
                continue
            state = self.state[parameter]
            if "master" not in state:
                state["master"] = parameter.detach().float()
            yield parameter, state["master"], parameter.grad.float()
            parameter.copy_(state["master"])


def _adamw(optimiser: Moves, group: Group) -> None:
    batch: list[tuple[Tensor, ...]] = []
    for parameter, moved, gradient in optimiser.moving(group):
        state = optimiser.state[parameter]
        if "step" not in state:
            _begin(state, moved)
        state["step"] += 1
        row = (moved, gradient, state["mean"], state["square"], state["step"])
        if moved is parameter:
            batch.append(row)
        else:  # by itself: so no more than one gradient is held in both precisions
            _fused([row], group)
    if batch:
        _fused(batch, group)


def _begin(state: dict[str, Tensor], moved: Tensor) -> None:
    state["step"] = torch.zeros((), dtype=torch.float32, device=moved.device)
    state["mean"], state["square"] = (torch.zeros_like(moved, requires_grad=False) for _ in range(2))


def _fused(rows: list[tuple[Tensor, ...]], group: Group) -> None:
    moved, gradients, means, squares, steps = (list(column) for column in zip(*rows, strict=True))
    torch._fused_adamw_(  # pyright: ignore[reportPrivateImportUsage]  what torch.optim.AdamW(fused=True) calls
        moved,
        gradients,
        means,
        squares,
        [],
        steps,
        lr=group["lr"],
        beta1=group["betas"][0],
        beta2=group["betas"][1],
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        amsgrad=False,
        maximize=False,
    )
    for weight in moved:  # which that kernel leaves out; packed copies of the weights are made anew by it
        increment_version(weight)


def _muon(optimiser: Moves, group: Group) -> None:
    """Blocks of equal shape together: momentum, orthogonal, scaled, added."""
    waiting: dict[tuple[int, int], list[tuple[Tensor, Tensor, dict[str, Tensor], str]]] = {}
    for parameter, moved, gradient in optimiser.moving(group):
        state = optimiser.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(moved)
        state["momentum"].lerp_(gradient, 1 - group["momentum"])
        begin = 0
        for index, rows in enumerate(group["rows"][_place(group, parameter)]):
            block = slice(begin, begin + rows)
            update = gradient[block].lerp(state["momentum"][block], group["momentum"])
            shape = (rows, moved.shape[1])
            waiting.setdefault(shape, []).append((moved[block], update, state, f"second.{index}"))
            begin += rows
            if len(waiting[shape]) * math.prod(shape) >= LARGEST or moved is not parameter:
                _turned(waiting.pop(shape), optimiser.product_dtype, group)
    for blocks in waiting.values():
        _turned(blocks, optimiser.product_dtype, group)


def _turned(blocks: list[tuple[Tensor, Tensor, dict[str, Tensor], str]], dtype: torch.dtype, group: Group) -> None:
    updates = torch.stack([update for _, update, _, _ in blocks])
    kept = dtype if updates.device.type == "cpu" else torch.bfloat16
    updates = orthogonalised(updates.to(kept), group["coefficients"], group["steps"]).float()
    rows, columns = updates.shape[1:]
    rate = group["lr"] * math.sqrt(max(1, rows / columns))
    for update, (moved, _, state, key) in zip(updates, blocks, strict=True):
        if group["is_normed"]:
            update = _normed(update, state, key)
        decay = group["lr"] * group["weight_decay"]
        if group["is_cautious"]:
            moved.sub_(moved * (update * moved > 0), alpha=decay)
        else:
            moved.mul_(1 - decay)
        moved.sub_(update, alpha=rate)


def _normed(update: Tensor, state: dict[str, Tensor], key: str) -> Tensor:
    """Every row (or column, of a wide matrix) made equally large in the long run, the whole as large as before."""
    mean = update.square().mean(-1 if update.shape[0] >= update.shape[1] else -2, keepdim=True)
    if key not in state:
        state[key] = torch.zeros_like(mean)
    state[key].lerp_(mean, 1 - SECOND_DECAY)
    scaled = update * state[key].clamp(min=1e-10).rsqrt()
    return scaled * (torch.linalg.vector_norm(update) / torch.linalg.vector_norm(scaled).clamp(min=1e-10))


def _place(group: Group, parameter: Tensor) -> int:
    return next(index for index, it in enumerate(group["params"]) if it is parameter)


def _product_dtype() -> torch.dtype:
    """bfloat16 where a CPU multiplies it in hardware."""
    sets = instruction_sets(cpuinfo())
    return torch.bfloat16 if {"AVX512-BF16", "AMX-BF16", "ARM-BF16"} & set(sets) else torch.float32
