"""Queries and keys turned by their positions, with torch: a `Rope` and positions in, turned heads out."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hanlin.model.rope import Rope, waves


def turns(
    rope: Rope, head_width: int, context: int, span: int, dtype: torch.dtype, device: torch.device
) -> tuple[Float[Tensor, "S 1 E"], Float[Tensor, "S 1 E"]]:
    """Cosines and signed sines for positions 0 to `span`, ready for `rotate`; see `hanlin.model.rope.waves`."""
    cos, sin = torch.from_numpy(waves(rope, head_width, context, span)).chunk(2, 1)
    place = {"dtype": dtype, "device": device}
    return torch.cat((cos, cos), 1)[:, None].to(**place), torch.cat((-sin, sin), 1)[:, None].to(**place)


class Turn(NamedTuple):
    """By how much the new positions of a pass turn."""

    cos: Float[Tensor, "*b T 1 E"]
    sin: Float[Tensor, "*b T 1 E"]
    """With the sign of the first half flipped."""
    matrix: Float[Tensor, "*b E E"] | None
    """Both as one matrix, where there is but one position: one kernel instead of five, for every layer of the pass."""


def turn(cos: Float[Tensor, "*b T 1 E"], sin: Float[Tensor, "*b T 1 E"]) -> Turn:
    """The rows of `turns` that stand for the new positions, made ready."""
    if cos.shape[-3] != 1:
        return Turn(cos, sin, None)
    half = cos.shape[-1] // 2
    matrix = torch.diag_embed(cos) + torch.diag_embed(sin).roll(half, -2)  # (*b, 1, 1, E, E)
    return Turn(cos, sin, matrix[..., 0, 0, :, :] if cos.ndim == 3 else matrix[..., 0, :, :])


def rotate(x: Float[Tensor, "B T heads E"], by: Turn) -> Float[Tensor, "B T heads E"]:
    """Turn each (first half, second half) pair."""
    if by.matrix is not None:
        return x @ by.matrix
    return torch.addcmul(x * by.cos, x.roll(x.shape[-1] // 2, -1), by.sin)
