"""Cross-entropy without the logits: hidden states and targets in, a weighted sum of losses out.

The logits of all positions would be the largest tensor of training (4 × 512 positions of 49,152 tokens: 403 MB of
float32, several times over). Chunk by chunk the loss and its gradients are made together, so that only one chunk's
logits are ever held.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from hanlin.model.decoder import Decoder


def summed(
    network: Decoder, x: Float[Tensor, "*b D"], targets: Int[Tensor, "*b"], weights: Float[Tensor, "*b"]
) -> Float[Tensor, ""]:
    """Sum of weights × -log p(target), in nats, over the positions whose weight is not 0; float32.

    Args:
        network: for its head.
        x: what the trunk made of each position.
        targets: ids.
        weights: 0 leaves a position out.
    """
    graded = weights.flatten().nonzero()[:, 0]
    if not len(graded):
        return x.sum() * 0.0
    logits = network.head(x.flatten(0, -2)[graded]).float()
    losses = F.cross_entropy(logits, targets.flatten()[graded], reduction="none")
    return torch.dot(losses, weights.flatten()[graded].float())


def logprobs(
    network: Decoder, x: Float[Tensor, "B T D"], targets: Int[Tensor, "B T"], weights: Float[Tensor, "B T"]
) -> Float[Tensor, " B"]:
    """Sum of weights × log p(target) of each row, with gradients: what preference objectives compare."""
    graded = weights.flatten().nonzero()[:, 0]
    logits = network.head(x.flatten(0, -2)[graded]).float()
    losses = F.cross_entropy(logits, targets.flatten()[graded], reduction="none") * weights.flatten()[graded]
    rows = graded // targets.shape[1]
    return -torch.zeros(len(x), dtype=torch.float32, device=x.device).index_add(0, rows, losses)
