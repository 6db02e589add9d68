"""Products of activations and weights while learning, by whole numbers of eight bits where a network is told so.

x Wᵀ on the way forward and g W on the way back are two thirds of a step's operations, and all that count where W is
frozen; processors multiply bytes several times as fast as floats. Each row of x, of g and of W has a scale of its own,
and so has each column of W for the way back. Gradients of weights, norms, attention, a head that learns and the
weights themselves stay in float32 (SwitchBack: https://arxiv.org/abs/2304.13013).

A matrix that carries `packs` is multiplied so while gradients are asked for; all else, validation and samples too,
goes the plain way. A head that is frozen has finer rows, of two bytes where one is too coarse: most probabilities are a
thousand times smaller than the largest one beside them, and together they count.
"""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hanlin.model.adapters.quantised import Quantised


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
        if known is None or known[0] != state:
            packed = Packed.int8(_dense(weight, torch.float32), is_transposed=is_transposed)
            known = state, replace(packed, row_bits=self.row_bits)
            self._made[is_transposed] = known
        return known[1]


def forward(x: Float[Tensor, "*b D"], weight: Tensor | Quantised, bias: Tensor | None) -> Float[Tensor, "*b F"]:
    """x Wᵀ + b."""
    packs: Packs | None = getattr(weight, "packs", None)
    if packs is None:
        return F.linear(x, _dense(weight, x.dtype), bias)
    packed = packs.of(weight, is_transposed=False)
    out = packed(x.reshape(-1, x.shape[-1]).contiguous())
    if bias is not None:
        out += bias
    return out.view(*x.shape[:-1], out.shape[-1])


def back(pull: Float[Tensor, "N F"], weight: Tensor | Quantised) -> Float[Tensor, "N D"]:
    """g W."""
    packs: Packs | None = getattr(weight, "packs", None)
    if packs is None:
        return pull @ _dense(weight, pull.dtype)
    return packs.of(weight, is_transposed=True)(pull.contiguous())


def _dense(weight: Tensor | Quantised, dtype: torch.dtype) -> Tensor:
    return weight.dense(dtype) if isinstance(weight, Quantised) else weight.detach()


def multiply_bytes(network: nn.Module) -> int:
    """Make every map of the layers multiply so from now on, and a frozen head. How many maps there are."""
    from hanlin.model.adapters.adapted import Adapted
    from hanlin.model.blocks import Linear
    from hanlin.model.decoder import Decoder

    maps = [part for part in network.modules() if isinstance(part, Linear)]
    for part in maps:
        if isinstance(part, Adapted) and part.quantised is not None:
            part.quantised.packs = Packs()  # pyright: ignore[reportArgumentType]
        else:
            part.weight.packs = Packs()  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(network, Decoder):
        head = network.embed if network.unembed is None else network.unembed
        if not head.weight.requires_grad:
            head.weight.packs = Packs(row_bits=16)  # pyright: ignore[reportAttributeAccessIssue]
    return len(maps)
