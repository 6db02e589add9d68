"""A linear map with a small addition that learns: the frozen map's answer plus scale · B A x, in each block of rows.

    y = W x + b + scale · B A x                      LoRA
    y = m / |W + scale · B A| · (W + scale · B A) x + b       DoRA; the norm of each row, seen as a constant

A `Stack` holds several maps of one input; each is a block with an A and a B of its own. The A's lie in one matrix, so
that the stack's input is multiplied once. Forward and backward are written out: the addition goes into the frozen
map's own result in place, the frozen weights get no gradient, and quantised ones are made dense for the moment of each
product, once forward and once backward.

Papers: https://arxiv.org/abs/2106.09685, https://arxiv.org/abs/2402.09353, https://arxiv.org/abs/2312.03732
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from hanlin.model import products
from hanlin.model.adapters.quantised import Kind, Quantised
from hanlin.model.blocks import Linear, Stack


class Block(NamedTuple):
    """One map of a stack, and its addition."""

    name: str
    """Its module in Hugging Face's names: "model.layers.0.self_attn.q_proj"."""
    target: str
    """Short: q, k, v, o, gate, up, down, router, or "qkv" where the format stores those as one map."""
    begin: int
    """Its first row in the stack."""
    end: int
    width: int
    """Of its input."""
    rank: int = 0
    scale: float = 0.0


class Adapted(Stack):
    """A frozen map, dense or quantised, with an addition for each of its blocks; possibly none."""

    def __init__(
        self,
        base: Linear,
        blocks: Sequence[Block],
        draw: torch.Generator,
        *,
        dropout: float = 0.0,
        is_dora: bool = False,
        kind: Kind | None = None,
        others: Sequence[str] = (),
    ) -> None:
        """A's are drawn as PEFT draws them, B's are 0: the map answers as before.

        Args:
            base: the map; its parameters are taken over, not copied.
            others: Hugging Face's names of its blocks that get no addition.
            kind: in how many bits to keep its weights; None: as they are.
        """
        nn.Module.__init__(self)
        self.in_features, self.out_features = base.in_features, base.out_features
        self.is_stack, self.others = isinstance(base, Stack), tuple(others)
        self.rows = base.rows if isinstance(base, Stack) else (base.out_features,)
        self.blocks, self.dropout, self.is_dora, self.is_off = tuple(blocks), dropout, is_dora, False
        weight, bias = base._parameters["weight"], base._parameters["bias"]
        self.register_parameter("bias", bias)
        self.register_parameter("weight", None if kind else weight)
        self.quantised = Quantised(base.weight, kind) if kind else None
        for frozen in self.parameters():
            frozen.requires_grad_(False)
        if self.blocks:
            self._grow(base.weight, draw)
        self.train(base.training)

    def _grow(self, weight: Tensor, draw: torch.Generator) -> None:
        bound, device = 1 / sqrt(self.in_features), weight.device
        made = torch.empty(sum(block.rank for block in self.blocks), self.in_features)
        self.a = nn.Parameter(made.uniform_(-bound, bound, generator=draw).to(device))
        for index, block in enumerate(self.blocks):
            self.register_parameter(
                f"b{index}", nn.Parameter(torch.zeros(block.end - block.begin, block.rank, device=device))
            )
        if self.is_dora:
            dense = self.dense(torch.float32).detach()
            # As the bits of their floats: casting the network to another precision leaves them as they are.
            self.register_buffer("squares", dense.square().sum(1).view(torch.int32), persistent=False)
            self.magnitude = nn.Parameter(torch.cat([dense[it.begin : it.end].norm(dim=1) for it in self.blocks]))
            self.known: tuple[Any, Tensor] | None = None

    def dense(self, dtype: torch.dtype | None = None) -> Float[Tensor, "F D"]:
        """The frozen weights."""
        weight = self._parameters["weight"]
        if weight is not None:
            return weight if dtype is None else weight.to(dtype)
        assert self.quantised is not None
        return self.quantised.dense(dtype or torch.float32)

    def halves(self) -> list[tuple[Float[Tensor, "r D"], Float[Tensor, "rows r"]]]:
        """A and B of each block."""
        if not self.blocks:
            return []
        parts = self.a.split([block.rank for block in self.blocks])
        return [(a, self.get_parameter(f"b{index}")) for index, a in enumerate(parts)]

    def magnitudes(self) -> list[Float[Tensor, " rows"]]:
        """DoRA's magnitudes of each block; none with LoRA."""
        if not self.is_dora:
            return []
        return list(self.magnitude.split([block.end - block.begin for block in self.blocks]))

    def additions(self) -> list[tuple[Block, dict[str, Tensor]]]:
        """Each block's "a", "b" and, with DoRA, "magnitude", as views of the parameters."""
        found: list[tuple[Block, dict[str, Tensor]]] = [
            (block, {"a": a, "b": b}) for block, (a, b) in zip(self.blocks, self.halves(), strict=True)
        ]
        for (_, own), magnitude in zip(found, self.magnitudes(), strict=False):
            own["magnitude"] = magnitude
        return found

    def forward(self, input: Float[Tensor, "*b D"]) -> Float[Tensor, "*b F"]:  # noqa: A002  torch's name for it
        """Of each position by itself."""
        own: Any = self._parameters
        base = own["weight"] if self.quantised is None else self.quantised
        if self.is_off or not self.blocks:
            if not (torch.is_grad_enabled() and input.requires_grad):
                return F.linear(input, self.dense(input.dtype), own["bias"])
            return _Map.apply(input, None, base, own["bias"], ())
        inner = F.dropout(input, self.dropout) if self.dropout and self.training else None
        bs = [own[f"b{index}"] for index in range(len(self.blocks))]
        bias = None if self.is_dora else own["bias"]
        out: Any = _Map.apply(input, inner, base, bias, self.blocks, own["a"], *bs)
        if not self.is_dora:
            return out
        gain = self._gain(self.dense(input.dtype), bs).to(out.dtype)
        return out * gain if own["bias"] is None else torch.addcmul(own["bias"], out, gain)

    def _gain(self, weight: Tensor, bs: Sequence[Tensor]) -> Float[Tensor, " F"]:
        """What each row's answer is multiplied by: its magnitude over its norm; 1 for rows without an addition."""
        norms = self._norms(weight, bs)
        parts, end = [], 0
        for block, magnitude in zip(self.blocks, self.magnitudes(), strict=True):
            parts += [norms.new_ones(block.begin - end), magnitude / norms[block.begin : block.end]]
            end = block.end
        return torch.cat([*parts, norms.new_ones(self.out_features - end)])

    def _norms(self, weight: Tensor, bs: Sequence[Tensor]) -> Float[Tensor, " F"]:
        """|W + scale · B A| of each row, from |W|², W Aᵀ and A Aᵀ: no other matrix of W's size is made.

        Kept while nothing learns, so that an answer's tokens do not pay for it again.
        """
        key = None
        if not torch.is_grad_enabled() and not self.a.is_inference():
            key = (weight.dtype, *((it.data_ptr(), it._version) for it in (self.a, *bs)))
        if key is not None and self.known is not None and self.known[0] == key:
            return self.known[1]
        bits: Any = self._buffers["squares"]
        squares = bits.view(torch.float32)
        norms = squares.sqrt()
        with torch.no_grad():
            for block, a, b in zip(self.blocks, self.a.split([it.rank for it in self.blocks]), bs, strict=True):
                rows = slice(block.begin, block.end)
                met = F.linear(weight[rows], a.to(weight.dtype)).float()  # (rows, r)
                a, b = a.float(), b.float() * block.scale
                change = (b * (2 * met + b @ (a @ a.mT))).sum(1)
                norms[rows] = (squares[rows] + change).clamp_min_(1e-30).sqrt()
        self.known = None if key is None else (key, norms)
        return norms


class _Map(torch.autograd.Function):
    """W x + b, and into each block's rows scale · B A x'; x' is x, or x after dropout."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        inner: Tensor | None,
        base: Tensor | Quantised,
        bias: Tensor | None,
        blocks: tuple[Block, ...],
        *ab: Tensor,
    ) -> Tensor:
        out = products.forward(x.reshape(-1, x.shape[-1]), base, bias)
        ctx.base, ctx.blocks, ctx.shape = base, blocks, x.shape
        source = x if inner is None else inner
        low = None
        if blocks:
            low = F.linear(source.reshape(-1, x.shape[-1]), ab[0].to(x.dtype))  # all ranks side by side
            begin = 0
            for block, b in zip(blocks, ab[1:], strict=True):
                part = low[:, begin : begin + block.rank]
                out[:, block.begin : block.end].addmm_(part, b.to(x.dtype).mT, alpha=block.scale)
                begin += block.rank
        ctx.has_dropout = inner is not None
        ctx.save_for_backward(source if blocks else None, low, *ab)
        return out.view(*x.shape[:-1], out.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        source, low, *ab = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        back = products.back(grad, ctx.base) if ctx.needs_input_grad[0] else None
        if not ctx.blocks:
            return back.view(ctx.shape) if back is not None else None, *([None] * 4)
        lows = torch.empty_like(low)
        b_grads, begin = [], 0
        for block, b in zip(ctx.blocks, ab[1:], strict=True):
            rows, ranks = grad[:, block.begin : block.end], slice(begin, begin + block.rank)
            lows[:, ranks] = (rows @ b.to(grad.dtype)).mul_(block.scale)
            b_grads.append((rows.mT @ low[:, ranks]).to(b.dtype).mul_(block.scale))
            begin += block.rank
        a = ab[0].to(grad.dtype)
        a_grad = (lows.mT @ source.reshape(-1, source.shape[-1])).to(ab[0].dtype)
        inner = None
        if ctx.has_dropout:
            inner = (lows @ a).view(ctx.shape) if ctx.needs_input_grad[1] else None
        elif back is not None:
            back.addmm_(lows, a)
        return back.view(ctx.shape) if back is not None else None, inner, None, None, None, a_grad, *b_grads


def adapted(network: nn.Module) -> dict[str, Adapted]:
    """The maps of a network that have been replaced, by name."""
    return {name: part for name, part in network.named_modules() if isinstance(part, Adapted)}
