"""The parts of a layer as they run while the model learns: fewer kernels, and less kept for the way back.

torch keeps what every kernel has seen. Here a norm keeps its input and one number per position; the map behind it
keeps nothing, as the normed stream is made again (two passes over a small tensor); a gated part keeps what opens and
passes the gates. Attention keeps queries, keys, values and its result, turns and gathers in one go, and goes through
the queries block by block, both ways: a sixth less of a core's time than torch's own (see docs/LOG.md).

For float32 on a CPU, where this was measured; all else takes the plain path. Equal to it up to rounding.
"""

import math
import threading
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from hanlin.model import products

BLOCK = 64
"""Queries of each head that are looked up at once: their scores stay in the cache."""
Maybe = Tensor | None
Act = Literal["silu", "gelu", "gelu_tanh", "relu"]


class _Scratch(threading.local):
    """Memory of a pass for what it forgets at its end: taken anew by every layer, it would lie between what is kept."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def of(self, use: str, *shape: int) -> Tensor:
        """Uninitialised float32; each use has one at a time, and the next call takes it over."""
        size = math.prod(shape)
        if use not in self._kept or self._kept[use].numel() < size:
            self._kept[use] = torch.empty(size)
        return self._kept[use][:size].view(shape)


SCRATCH = _Scratch()


class Recipe(NamedTuple):
    """How a normed stream is made: x × size × gain."""

    x: Float[Tensor, "*b D"]
    size: Float[Tensor, "*b 1"]
    gain: Float[Tensor, " D"]


def is_learning(x: Tensor, *weights: Maybe) -> bool:
    """Gradients will be asked for, and the written-out pass is for this tensor."""
    if not torch.is_grad_enabled() or x.dtype != torch.float32 or x.device.type != "cpu":
        return False
    if torch.compiler.is_compiling():
        return False
    return x.requires_grad or any(weight is not None and weight.requires_grad for weight in weights)


def normed(x: Float[Tensor, "*b D"], gain: Float[Tensor, " D"], epsilon: float) -> Float[Tensor, "*b D"]:
    """x over the root of its mean square, times the gain; the result knows its recipe."""
    out, size = _Normed.apply(x, gain, epsilon)  # pyright: ignore[reportGeneralTypeIssues]
    out.recipe = Recipe(x.detach(), size, gain.detach())
    return out


def linear(x: Float[Tensor, "*b D"], weight: Float[Tensor, "F D"], bias: Maybe) -> Float[Tensor, "*b F"]:
    """A linear map that keeps the recipe of its input, if that has one."""
    recipe: Recipe | None = getattr(x, "recipe", None)
    if (recipe is None or not weight.requires_grad) and not hasattr(weight, "packs"):
        return F.linear(x, weight, bias)
    return _Linear.apply(x, weight, bias, *(recipe or (None, None, None)))  # pyright: ignore[reportReturnType]


def gated(gate_up: Float[Tensor, "*b F2"], act: Act) -> Float[Tensor, "*b F"]:
    """The first half, bent, times the second."""
    return _Gated.apply(gate_up, act)  # pyright: ignore[reportReturnType]


def gated_mlp(
    x: Float[Tensor, "*b D"], gate_up: Tensor, gate_up_bias: Maybe, down: Tensor, down_bias: Maybe, act: Act
) -> Float[Tensor, "*b D"]:
    """A whole gated feed-forward part."""
    recipe: Recipe | tuple[None, None, None] = getattr(x, "recipe", (None, None, None))
    return _GatedMLP.apply(x, gate_up, gate_up_bias, down, down_bias, act, *recipe)  # pyright: ignore


def attended(
    heads: Float[Tensor, "B T heads E"],
    kv_heads: int,
    turn: tuple[Tensor, Tensor] | None,
    mask: Float[Tensor, "*b T T"] | None,
    scale: float,
) -> Float[Tensor, "B T HE"]:
    """Attention of a whole text to itself, causal.

    Args:
        heads: of queries, then keys, then values; not turned yet.
        kv_heads: of keys, and of values.
        turn: cosines and signed sines of the positions, as of `hanlin.model.rotate.turns`.
        mask: added to the scores, on top of causality; 0 or minus infinity.
        scale: of the scores.
    """
    cos, sin = turn or (None, None)
    return _Attended.apply(heads, cos, sin, mask, kv_heads, scale)  # pyright: ignore[reportReturnType]


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        length = torch.linalg.vector_norm(x, 2, -1, True)
        size = torch.addcmul(torch.tensor(epsilon), length, length, value=1 / x.shape[-1]).rsqrt_()
        ctx.save_for_backward(x, size, gain)
        ctx.mark_non_differentiable(size)
        return (x * size).mul_(gain), size

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pull: Tensor, _: Tensor) -> tuple[Maybe, ...]:  # pyright: ignore
        x, size, gain = ctx.saved_tensors
        both = pull * x
        rows = both.reshape(-1, x.shape[-1])
        of_gain = size.flatten() @ rows if ctx.needs_input_grad[1] else None
        if not ctx.needs_input_grad[0]:
            return None, of_gain, None
        along = (rows @ gain).view(size.shape) * size**3
        of_x = torch.mul(pull, gain, out=both).mul_(size)
        return of_x.addcmul_(x, along, value=-1 / x.shape[-1]), of_gain, None


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Maybe, raw: Maybe, size: Maybe, gain: Maybe) -> Tensor:
        recipe = (x, None, None) if raw is None else (raw, size, gain)
        ctx.save_for_backward(weight, *(recipe if weight.requires_grad else (None, None, None)))
        return products.forward(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pull: Tensor) -> tuple[Maybe, ...]:  # pyright: ignore
        weight, *recipe = ctx.saved_tensors
        flat = pull.flatten(0, -2)
        of_x = products.back(flat, weight).unflatten(0, pull.shape[:-1]) if ctx.needs_input_grad[0] else None
        of_weight = products.of_weight(flat, _made(*recipe).flatten(0, -2), weight) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, flat.sum(0) if ctx.needs_input_grad[2] else None, None, None, None


def _made(raw: Tensor, size: Maybe, gain: Maybe) -> Tensor:
    return raw if size is None or gain is None else (raw * size).mul_(gain)


def _bent(gate: Tensor, act: Act, out: Maybe = None) -> Tensor:
    """The activation, into `out` if given."""
    out = torch.empty(gate.shape) if out is None else out
    match act:
        case "silu":
            return torch.ops.aten.silu.out(gate, out=out)
        case "gelu" | "gelu_tanh":
            return torch.ops.aten.gelu.out(gate, approximate="tanh" if act == "gelu_tanh" else "none", out=out)
        case _:
            return torch.clamp(gate, min=0, out=out)


def _unbent(pull: Tensor, gate: Tensor, act: Act) -> Tensor:
    """The gradient of what went into the activation, in the place of the one of what came out."""
    ops = torch.ops.aten
    match act:
        case "silu":
            return ops.silu_backward.grad_input(pull, gate, grad_input=pull)
        case "gelu" | "gelu_tanh":
            kind = "tanh" if act == "gelu_tanh" else "none"
            return ops.gelu_backward.grad_input(pull, gate, approximate=kind, grad_input=pull)
        case _:
            return ops.threshold_backward.grad_input(pull, gate, 0, grad_input=pull)


def _ungated(pull: Tensor, gate_up: Tensor, act: Act, bent: Tensor, of_both: Tensor) -> Tensor:
    """The gradient of both halves, from the one of their product, in `of_both`."""
    gate, up = gate_up.chunk(2, -1)
    of_gate, of_up = of_both.chunk(2, -1)
    torch.mul(pull, bent, out=of_up)
    _unbent(torch.mul(pull, up, out=of_gate), gate, act)
    return of_both


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor, act: Act) -> Tensor:
        ctx.save_for_backward(gate_up)
        ctx.act = act
        gate, up = gate_up.chunk(2, -1)
        return _bent(gate, act).mul_(up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pull: Tensor) -> tuple[Maybe, ...]:  # pyright: ignore
        (gate_up,) = ctx.saved_tensors
        return _ungated(
            pull, gate_up, ctx.act, _bent(gate_up.chunk(2, -1)[0], ctx.act), torch.empty_like(gate_up)
        ), None


class _GatedMLP(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        wide: Tensor,
        wide_bias: Maybe,
        down: Tensor,
        down_bias: Maybe,
        act: Act,
        raw: Maybe,
        size: Maybe,
        gain: Maybe,
    ) -> Tensor:
        is_made_again = hasattr(wide, "packs")  # half of what a layer would keep, and cheap in bytes
        recipe = (x, None, None) if raw is None else (raw, size, gain)
        flat = x.flatten(0, -2)
        memory = None
        if is_made_again:
            memory, _ = SCRATCH.of("gate_up", len(flat), len(wide)), SCRATCH.of("of_both", len(flat), len(wide))
        gate_up = products.forward(flat, wide, wide_bias, memory)
        ctx.act = act
        ctx.save_for_backward(
            wide,
            down,
            wide_bias if is_made_again else None,
            None if is_made_again else gate_up,
            *(recipe if wide.requires_grad or is_made_again else (None, None, None)),
        )
        gate, up = gate_up.chunk(2, -1)
        bent = _bent(gate, act, SCRATCH.of("bent", *gate.shape)).mul_(up)
        return products.forward(bent, down, down_bias).unflatten(0, x.shape[:-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pull: Tensor) -> tuple[Maybe, ...]:  # pyright: ignore
        wide, down, wide_bias, halves, *recipe = ctx.saved_tensors
        is_wanted = ctx.needs_input_grad
        flat = pull.flatten(0, -2)
        x = _made(*recipe).flatten(0, -2) if recipe[0] is not None else flat.new_empty(0)
        if halves is None:
            halves = products.forward(x, wide, wide_bias, SCRATCH.of("gate_up", len(flat), len(wide)))
        gate, up = halves.chunk(2, -1)
        bent = _bent(gate, ctx.act, SCRATCH.of("bent", *gate.shape))
        of_down = None
        if is_wanted[3]:
            of_down = products.of_weight(flat, torch.mul(bent, up, out=SCRATCH.of("passed", *up.shape)), down)
        of_passed = products.back(flat, down, SCRATCH.of("passed", *up.shape))
        of_both = _ungated(of_passed, halves, ctx.act, bent, SCRATCH.of("of_both", *halves.shape))
        return (
            products.back(of_both, wide).unflatten(0, pull.shape[:-1]) if is_wanted[0] else None,
            products.of_weight(of_both, x, wide) if is_wanted[1] else None,
            of_both.sum(0) if is_wanted[2] else None,
            of_down,
            flat.sum(0) if is_wanted[4] else None,
            *(None,) * 4,
        )


def _turned(x: Tensor, cos: Maybe, sin: Maybe, *, back: bool = False) -> Tensor:
    """Queries and keys at their positions; or gradients from there."""
    if cos is None or sin is None:
        return x
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin, value=-1 if back else 1)


class _Layout(NamedTuple):
    """Where queries lie: rows of a key head, block of positions after block, the heads that share it in each."""

    batch: int
    length: int
    heads: int
    kv_heads: int
    width: int

    @property
    def shared(self) -> int:
        """Query heads per key head."""
        return self.heads // self.kv_heads

    def blocks(self) -> Iterator[tuple[int, int, slice]]:
        """First position, position after the last, and the rows."""
        for begin in range(0, self.length, BLOCK):
            end = min(begin + BLOCK, self.length)
            yield begin, end, slice(begin * self.shared, end * self.shared)

    def packed(self, q: Float[Tensor, "B T H E"], scale: float = 1.0) -> Float[Tensor, "BK rows E"]:
        """Queries in that order."""
        out = torch.empty(self.batch * self.kv_heads, self.length * self.shared, self.width)
        for begin, end, rows in self.blocks():
            torch.mul(self._block(q, begin, end), scale, out=self._rows(out, rows))
        return out

    def unpacked(self, packed: Float[Tensor, "BK rows E"], out: Float[Tensor, "B T H E"]) -> None:
        """Back again."""
        for begin, end, rows in self.blocks():
            self._block(out, begin, end).copy_(self._rows(packed, rows))

    def _block(self, q: Tensor, begin: int, end: int) -> Tensor:
        part = q[:, begin:end].view(self.batch, end - begin, self.kv_heads, self.shared, self.width)
        return part.permute(0, 2, 3, 1, 4)  # (B, K, shared, t, E)

    def _rows(self, packed: Tensor, rows: slice) -> Tensor:
        return packed[:, rows].view(self.batch, self.kv_heads, self.shared, -1, self.width)

    def lined(self, k: Float[Tensor, "B T K E"]) -> Float[Tensor, "BK T E"]:
        """Keys or values."""
        return k.transpose(1, 2).reshape(self.batch * self.kv_heads, self.length, self.width)

    def unlined(self, k: Float[Tensor, "BK T E"]) -> Float[Tensor, "B T K E"]:
        """Back again."""
        return k.view(self.batch, self.kv_heads, self.length, self.width).transpose(1, 2)

    def weights(
        self, q: Tensor, k: Tensor, begin: int, end: int, mask: Maybe, memory: Tensor
    ) -> Float[Tensor, "BK rows S"]:
        """How much each query of a block heeds each key up to its end."""
        shape = (q.shape[0], q.shape[1], end)
        scores = memory[: shape[0] * shape[1] * shape[2]].view(shape)
        torch.bmm(q, k[:, :end].mT, out=scores)
        by_head = scores.view(self.batch, self.kv_heads, self.shared, end - begin, end)
        if mask is None:
            later = torch.ones(end - begin, end - begin, dtype=torch.bool).triu_(1)
            by_head[..., begin:].masked_fill_(later, -torch.inf)
        else:
            part = mask[..., begin:end, :end]
            by_head.add_(part if part.ndim == 2 else part[:, :, None])
        return torch.softmax(scores, -1, out=scores)

    def memory(self, use: str) -> Tensor:
        """For the weights of the largest block."""
        return SCRATCH.of(use, self.batch * self.heads * min(BLOCK, self.length) * self.length)


class _Attended(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, heads: Tensor, cos: Maybe, sin: Maybe, mask: Maybe, kv_heads: int, scale: float) -> Tensor:
        batch, length, count, width = heads.shape
        layout = _Layout(batch, length, count - 2 * kv_heads, kv_heads, width)
        turned = _turned(heads[:, :, :-kv_heads], cos, sin)
        q = layout.packed(turned[:, :, : layout.heads], scale)
        k, v = layout.lined(turned[:, :, layout.heads :]), layout.lined(heads[:, :, -kv_heads:])
        del turned
        gathered, memory = SCRATCH.of("gathered", *q.shape), layout.memory("weights")
        for begin, end, rows in layout.blocks():
            weights = layout.weights(q[:, rows], k, begin, end, mask, memory)
            torch.bmm(weights, v[:, :end], out=gathered[:, rows])
        out = torch.empty(batch, length, layout.heads, width)
        layout.unpacked(gathered, out)
        ctx.save_for_backward(q, k, v, out, cos, sin, mask)
        ctx.layout, ctx.scale = layout, scale
        return out.flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pull: Tensor) -> tuple[Maybe, ...]:  # pyright: ignore
        q, k, v, out, cos, sin, mask = ctx.saved_tensors
        layout: _Layout = ctx.layout
        pull = pull.reshape(out.shape)
        along = layout._replace(width=1).packed((pull * out).sum(-1, keepdim=True))
        pulls = layout.packed(pull)
        of_q, of_k, of_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        memory, other = layout.memory("weights"), layout.memory("of_scores")
        for begin, end, rows in layout.blocks():
            weights = layout.weights(q[:, rows], k, begin, end, mask, memory)
            of_v[:, :end].baddbmm_(weights.mT, pulls[:, rows])
            of_scores = other[: weights.numel()].view(weights.shape)
            torch.bmm(pulls[:, rows], v[:, :end].mT, out=of_scores)
            of_scores.sub_(along[:, rows]).mul_(weights)
            torch.bmm(of_scores, k[:, :end], out=of_q[:, rows])
            of_k[:, :end].baddbmm_(of_scores.mT, q[:, rows])
        of_q.mul_(ctx.scale)
        turned = torch.empty(*out.shape[:2], layout.heads + layout.kv_heads, layout.width)
        layout.unpacked(of_q, turned[:, :, : layout.heads])
        turned[:, :, layout.heads :] = layout.unlined(of_k)
        of_heads = torch.empty(*out.shape[:2], layout.heads + 2 * layout.kv_heads, layout.width)
        of_heads[:, :, : -layout.kv_heads] = _turned(turned, cos, sin, back=True)
        of_heads[:, :, -layout.kv_heads :] = layout.unlined(of_v)
        return of_heads, *(None,) * 5
