"""A frozen matrix in 8 or 4 bits per weight in, the same matrix in floats out, as often as it is needed.

The numbers are those of GGUF's Q8_0 and Q4_0 (see `hanlin/model/gguf/blocks32.py`): blocks of 32 weights of a row
share one scale, a float16. So weights that come from such a file are kept without another rounding, and a model that
was trained on a 4-bit base is exported as Q4_0 without one. Only the layout differs: scales and codes lie apart, and
two halves of the blocks share bytes, which makes the way back two passes without a step at each block.

Papers: https://arxiv.org/abs/2305.14314
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from hanlin.model.gguf.format import TensorType
from hanlin.model.gguf.quantise import quantise

Kind = Literal["int8", "int4"]

TYPES: dict[Kind, TensorType] = {"int8": TensorType.Q8_0, "int4": TensorType.Q4_0}
BLOCK = 32
AT_ONCE = 1 << 20
"""Weights quantised at a time."""


class Quantised(nn.Module):
    """A matrix of R rows. 8 bits: 1.06 bytes per weight; 4 bits: 0.56."""

    def __init__(self, weight: Float[Tensor, "R D"], kind: Kind) -> None:
        """`D` is a multiple of 32.

        How far a weight is off at most, as a share of its block's largest: with int8 half a step, 1/254; with int4
        half a step, 1/16, and up to a whole one, 1/8, for large weights of the sign the largest has not. The scale's
        own rounding adds 1/2048.
        """
        super().__init__()
        self.kind, self.shape = kind, weight.shape
        codes, scales = _blocks(weight, kind)
        if kind == "int4":
            if len(codes) % 2:
                codes = torch.cat((codes, codes.new_zeros(1, BLOCK)))
            low, high = codes.chunk(2)
            codes = low | high << 4
        # Scales as the bits of their floats: a network that is cast to another precision leaves them as they are.
        self.register_buffer("codes", codes.to(weight.device), persistent=False)
        self.register_buffer("scales", scales.view(torch.int16).to(weight.device), persistent=False)

    def dense(self, dtype: torch.dtype) -> Float[Tensor, "R D"]:
        """The weights, made anew."""
        codes, scales = self._buffers["codes"], self._buffers["scales"]
        assert codes is not None and scales is not None
        if self.kind == "int4":
            pair = torch.empty((2, *codes.shape), dtype=torch.uint8, device=codes.device)
            torch.bitwise_and(codes, 15, out=pair[0])
            torch.bitwise_right_shift(codes, 4, out=pair[1])
            wide = pair.view(-1, BLOCK)[: len(scales)].float().sub_(8)
        else:
            wide = codes.float()
        return wide.mul_(scales.view(torch.float16).float()[:, None]).view(self.shape).to(dtype)


def _blocks(weight: Tensor, kind: Kind) -> tuple[Tensor, Tensor]:
    """Codes (N, 32) and scales (N) of all blocks: signed bytes, or nibbles one to a byte."""
    form = TYPES[kind]
    codes, scales = [], []
    for rows in weight.detach().split(max(1, AT_ONCE // weight.shape[1])):
        blocks = quantise(form, rows.float().cpu().numpy()).reshape(-1, form.block_bytes)
        scales.append(torch.from_numpy(blocks[:, :2].copy().view("<f2")[:, 0].copy()))
        stored = blocks[:, 2:]
        whole = stored.view(np.int8) if kind == "int8" else np.hstack([stored & 15, stored >> 4])
        codes.append(torch.from_numpy(np.ascontiguousarray(whole)))
    return torch.cat(codes), torch.cat(scales)
