"""What training costs by formula: a network and a batch in, floating-point operations out, and how fast they can go.

A multiplication and an addition are two operations. Each weight of a linear map takes two per position on the way
forward, two for the gradient of its input where something before it learns, and two for its own if it learns itself
(https://arxiv.org/abs/2001.08361); the head does so for graded positions only. Scores and sums of attention are counted
for what a position may see. Computing again for want of memory is not counted, and neither is what every
implementation calls small: norms, activations, softmax.
"""

import torch
from torch import Tensor, nn

from hanlin.core.measure import product_speed
from hanlin.data.batch import Batch
from hanlin.model.blocks import Experts
from hanlin.model.decoder import Decoder


def of_batch(network: Decoder, batch: Batch) -> float:
    """Operations of one pass over a batch, both ways, with the worse ends of preferences if there are any."""
    found = per_position(network) * batch.tokens.numel()
    found += per_graded(network) * float(batch.weights.count_nonzero())
    found += attention(network, _lengths(batch))
    return found + (of_batch(network, batch.rejected) if batch.rejected is not None else 0.0)


def per_position(network: Decoder) -> float:
    """Operations of the layers' linear maps for each position that is read."""
    is_reached = _learns(network.embed)
    found = 0.0
    for layer in network.layers:
        is_reached = is_reached or _learns(layer)
        shares = {
            id(module): part.chosen / len(part.experts)
            for part in layer.modules()
            if isinstance(part, Experts)
            for module in part.experts.modules()
        }
        found += sum(shares.get(id(module), 1.0) * _map(module, is_reached) for module in layer.modules())
    return found


def per_graded(network: Decoder) -> float:
    """Operations of the head for each position that has a loss."""
    head = network.embed.weight if network.unembed is None else network.unembed.weight
    return 2.0 * head.numel() * (1 + _learns(network) + head.requires_grad)


def attention(network: Decoder, lengths: list[int]) -> float:
    """Operations of scores and weighted sums in texts of some lengths, for what each position sees."""
    is_reached = _learns(network.embed)
    width = network.config.heads * network.config.head_width
    found = 0.0
    for layer, sight in zip(network.layers, network.sight_of, strict=True):
        is_reached = is_reached or _learns(layer)
        window = network.sights[sight].window
        seen = sum(_seen(length, window) for length in lengths)
        found += 4.0 * width * seen * (3 if is_reached else 1)
    return found


def peak() -> float:
    """Operations per second of this machine's float32 products, the best seen in a quarter of a second."""
    return product_speed("float32")


def _learns(module: nn.Module) -> bool:
    return any(weight.requires_grad for weight in module.parameters())


def _map(module: nn.Module, is_reached: bool) -> float:
    """Operations per position of the matrices that a module owns itself; a quantised one is no parameter."""
    passes = 2 if is_reached else 1
    found = 0.0
    if isinstance(module, nn.Linear):
        weight: Tensor | None = module._parameters["weight"]
        found += (
            2.0 * module.in_features * module.out_features * (passes + (weight is not None and weight.requires_grad))
        )
    for name, weight in module.named_parameters(recurse=False):
        if weight.ndim == 2 and not (isinstance(module, nn.Linear) and name == "weight"):
            found += 2.0 * weight.numel() * (passes + weight.requires_grad)
    return found


def _lengths(batch: Batch) -> list[int]:
    if batch.documents is None:
        return [batch.tokens.shape[1]] * batch.rows
    return [
        length for row in batch.documents for length in torch.unique_consecutive(row, return_counts=True)[1].tolist()
    ]


def _seen(length: int, window: int | None) -> float:
    """How many positions all positions of a text see, themselves included."""
    edge = length if window is None else min(window, length)
    return edge * (edge + 1) / 2 + (length - edge) * edge
