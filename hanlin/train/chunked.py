"""Work on logits a chunk of positions at a time: what a chunk needed is forgotten and made again on the way back.

For losses that need more of the logits than the probability of one target; see also `hanlin.train.cross_entropy`.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from hanlin.model.decoder import Decoder
from hanlin.train.cross_entropy import CHUNK, logprobs


def in_chunks(work: Callable[..., Tensor], vocabulary: int, *inputs: Tensor) -> list[Tensor]:
    """`work` of each chunk of the inputs, which have one row per position; at least one chunk, maybe of no rows."""
    rows, found = max(16, CHUNK // vocabulary), []
    for begin in range(0, max(1, len(inputs[0])), rows):
        chunk = [x[begin : begin + rows] for x in inputs]
        if torch.is_grad_enabled():
            found.append(checkpoint(work, *chunk, use_reentrant=False, preserve_rng_state=False))
        else:
            found.append(work(*chunk))
    return found


def token_logprobs(
    network: Decoder, x: Float[Tensor, "N D"], targets: Int[Tensor, " N"], temperature: float = 1.0
) -> Float[Tensor, " N"]:
    """log p(target) at each position in nats, at a temperature; float32."""
    if temperature == 1:
        ones = torch.ones(len(targets), 1, device=x.device)
        return logprobs(network, x[:, None], targets[:, None], ones)

    def work(x: Tensor, targets: Tensor) -> Tensor:
        return -F.cross_entropy(network.head(x).float() / temperature, targets, reduction="none")

    return torch.cat(in_chunks(work, network.config.vocabulary, x, targets))
