"""Products of activations and weights while learning, by whole numbers of eight bits where a network is told so.

x Wᵀ on the way forward, g W on the way back and gᵀ x for the weights are nearly all of a step's operations, and
processors multiply bytes several times as fast as floats. Each row of x, of g and of W has a scale of its own, and so
has each column of W for the way back. In gᵀ x it is each channel that has one, over all positions, and the side that is
turned has rows of two bytes where one is too coarse (a few large positions would round all others away). Sums, norms,
attention, the gradient of the head's matrix and the weights themselves stay in float32 (SwitchBack, which keeps gᵀ x in
floats too: https://arxiv.org/abs/2304.13013).

A matrix that carries `packs` is multiplied so while gradients are asked for; all else, validation and samples too,
goes the plain way. A head has rows of two bytes as well: most probabilities are a thousand times smaller than the
largest one beside them, and together they count.
"""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hanlin.model.adapters.quantised import Quantised

LEAST_POSITIONS = 128
"""Of fewer, rounding takes longer than the product."""


class Packs:
    """A matrix packed for both ways, and again whenever it has changed."""

    def __init__(self, row_bits: int = 8) -> None:
        """`row_bits`: 8, or 16 for second bytes where they are needed."""
        self.row_bits = row_bits
        self._made: dict[bool, tuple[object, Any]] = {}

    def of(self, weight: Tensor | Quantised, *, is_transposed: bool) -> Any:
        """W for x Wᵀ, or transposed for g W."""
        from hanlin.kernels import Packed

        state = 0 if isinstance(weight, Quantised) else (weight.data_ptr(), weight._version)
        known = self._made.get(is_transposed)
        if known is not None and known[0] == state:
            return known[1]
        dense = _dense(weight, torch.float32)
        if known is None:
            packed = replace(Packed.int8(dense, is_transposed=is_transposed), row_bits=self.row_bits)
        else:  # what lives from step to step stays where it is: the rest of a step's memory is one piece for the next
            packed = known[1]
            packed.refill(dense, is_transposed=is_transposed)
        self._made[is_transposed] = state, packed
        return packed


def forward(
    x: Float[Tensor, "*b D"], weight: Tensor | Quantised, bias: Tensor | None, out: Tensor | None = None
) -> Float[Tensor, "*b F"]:
    """x Wᵀ + b; into `out`, if given, of as many rows."""
    packs: Packs | None = getattr(weight, "packs", None)
    if packs is None:
        return F.linear(x, _dense(weight, x.dtype), bias)
    found = packs.of(weight, is_transposed=False)(x.reshape(-1, x.shape[-1]).contiguous(), out)
    if bias is not None:
        found += bias
    return found.view(*x.shape[:-1], found.shape[-1])


def back(pull: Float[Tensor, "N F"], weight: Tensor | Quantised, out: Tensor | None = None) -> Float[Tensor, "N D"]:
    """g W; into `out`, if given."""
    packs: Packs | None = getattr(weight, "packs", None)
    if packs is None:
        return torch.mm(pull, _dense(weight, pull.dtype), out=out)
    return packs.of(weight, is_transposed=True)(pull.contiguous(), out)


def of_weight(pull: Float[Tensor, "N F"], x: Float[Tensor, "N D"], weight: Tensor | Quantised) -> Float[Tensor, "F D"]:
    """The gradient of W: gᵀ x. The narrower of the two is turned over, and has rows of two bytes where needed."""
    if getattr(weight, "packs", None) is None or len(x) < LEAST_POSITIONS:
        return pull.t() @ x
    from hanlin.kernels import Packed, turned

    narrow, wide = (x, pull) if x.shape[1] <= pull.shape[1] else (pull, x)
    packed = replace(Packed.int8(wide.contiguous(), is_transposed=True), row_bits=16)
    found = packed(turned(narrow.contiguous()))
    return turned(found) if narrow is x else found


def _dense(weight: Tensor | Quantised, dtype: torch.dtype) -> Tensor:
    return weight.dense(dtype) if isinstance(weight, Quantised) else weight.detach()


def multiply_bytes(network: nn.Module) -> int:
    """Make every map of the layers and the head multiply so from now on. How many maps of layers there are."""
    from hanlin.model.adapters.adapted import Adapted
    from hanlin.model.blocks import Linear
    from hanlin.model.decoder import Decoder

    maps = [part for part in network.modules() if isinstance(part, Linear)]
    for part in maps:
        _pack(part.quantised if isinstance(part, Adapted) and part.quantised is not None else part.weight, 8)
    if isinstance(network, Decoder):
        _pack((network.embed if network.unembed is None else network.unembed).weight, 16)
    return len(maps)


def _pack(weight: Tensor | Quantised, row_bits: int) -> None:
    """For both ways at once, before the first step, whose own memory is one piece then."""
    weight.packs = Packs(row_bits)  # pyright: ignore
    for is_transposed in (False, True):
        weight.packs.of(weight, is_transposed=is_transposed)  # pyright: ignore
