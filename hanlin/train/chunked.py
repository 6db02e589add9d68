"""Work on logits a chunk of positions at a time: what a chunk needed is forgotten and made again on the way back.

The logits of 8 × 512 positions of 49,152 tokens would be 805 MB of float32, and training holds several such tensors.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from hanlin.model.decoder import Decoder

CHUNK = 256
"""Positions whose logits are held at once."""


def in_chunks(work: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    """`work` of each chunk of the inputs, which have one row per position; at least one chunk, maybe of no rows."""
    found = []
    for begin in range(0, max(1, len(inputs[0])), CHUNK):
        chunk = [x[begin : begin + CHUNK] for x in inputs]
        if torch.is_grad_enabled():
            found.append(checkpoint(work, *chunk, use_reentrant=False, preserve_rng_state=False))
        else:
            found.append(work(*chunk))
    return found


def token_logprobs(
    network: Decoder, x: Float[Tensor, "N D"], targets: Int[Tensor, " N"], temperature: float = 1.0
) -> Float[Tensor, " N"]:
    """log p(target) at each position in nats, at a temperature; float32."""

    def work(x: Tensor, targets: Tensor) -> Tensor:
        return -F.cross_entropy(network.head(x).float() / temperature, targets, reduction="none")

    return torch.cat(in_chunks(work, x, targets))
