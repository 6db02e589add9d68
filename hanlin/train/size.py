"""A new model from one dial: its depth in, width, heads, tokens, batch and learning rate out; and its first weights.

    width = 64 × depth; tokens = 12 × parameters that multiply; batch ∝ tokens^0.383; learning rate ∝ √batch

The rules are nanochat's (https://github.com/karpathy/nanochat), the batch's exponent is from
https://arxiv.org/abs/2505.13738. The constants are ours: a batch that is right for 8 GPUs would leave a CPU a few
hundred updates (docs/LOG.md).
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hanlin.core.errors import ConfigError
from hanlin.core.plugins import find
from hanlin.core.settings import parse
from hanlin.model.attention import Attention
from hanlin.model.blocks import MLP, GatedMLP
from hanlin.model.config import Shape
from hanlin.model.decoder import Decoder
from hanlin.model.opened import FAMILIES
from hanlin.train.settings import ModelSettings

TOKENS_PER_WEIGHT = 12
FIRST_BATCH_TOKENS, FIRST_TOKENS = 8192, 10_000_000
"""The batch that suits a run of so many tokens; others follow from it."""
BATCH_EXPONENT = 0.383


@dataclass(frozen=True)
class Recipe:
    """What the dial sets beside the model."""

    tokens: int
    """To read in all."""
    batch_tokens: int
    """To read per update."""
    rate_factor: float
    """What the optimiser's own learning rate is multiplied by."""


def config_of(settings: ModelSettings, vocabulary: int, context: int) -> Shape:
    """The config of a new model.

    Raises:
        ConfigError: neither a size nor width and layers, or numbers that do not fit together.
    """
    module = find(FAMILIES, settings.family)
    layers = settings.layers or settings.size
    width = settings.width or (64 * settings.size if settings.size else None)
    if layers is None or width is None:
        raise ConfigError(
            "a new model has no size", "set model.size = 4, or model.width and model.layers, or model.use"
        )
    heads = settings.heads or max(1, width // (32 if width <= 256 else 64))
    if width % heads or (width // heads) % 2:
        raise ConfigError(
            f"model.width = {width} does not divide into {heads} heads of an even width", "choose another model.heads"
        )
    kv_heads = settings.kv_heads or heads
    if heads % kv_heads:
        raise ConfigError(f"model.kv_heads = {kv_heads} does not divide {heads} heads", "choose a divisor of heads")
    fields: dict[str, Any] = {
        "vocabulary": vocabulary,
        "width": width,
        "layers": layers,
        "heads": heads,
        "kv_heads": kv_heads,
        "head_width": width // heads,
        "mlp": settings.mlp or -(-8 * width // 3 // 32) * 32,
        "context": context,
        "epsilon": 1e-6,
        "has_tied_head": settings.has_tied_head,
    }
    return parse(module.Config, {name: fields[name] for name in fields if name in module.Config.model_fields}, "model")


def recipe(network: Decoder) -> Recipe:
    """How a new model of this size is trained best, given as much text as it wants."""
    tokens = TOKENS_PER_WEIGHT * multiplying(network)
    batch = FIRST_BATCH_TOKENS * (tokens / FIRST_TOKENS) ** BATCH_EXPONENT
    rounded = 2 ** round(math.log2(batch))
    return Recipe(tokens, rounded, math.sqrt(rounded / FIRST_BATCH_TOKENS))


def multiplying(network: Decoder) -> int:
    """Weights that every token is multiplied by: all matrices, the head included, but not the lookup of embeddings."""
    lookups = [network.embed, network.places]
    table = {id(part.weight) for part in lookups if part is not None}
    inner = sum(weight.numel() for weight in network.parameters() if weight.ndim > 1 and id(weight) not in table)
    return inner + (network.embed.weight.numel() if network.unembed is None else 0)


@torch.no_grad()
def initialise(network: Decoder, draw: torch.Generator) -> None:
    """First weights: the maps out of attention and out of the feed-forward part are 0, so each layer begins as nothing.

    The others are uniform with variance 1 / width; embedding and head are normal.
    """
    width = network.config.width
    network.embed.weight.normal_(0.0, 0.02 if network.unembed is None else 0.5, generator=draw)
    if network.unembed is not None:
        network.unembed.weight.normal_(0.0, 0.001, generator=draw)
    if network.places is not None:
        network.places.weight.normal_(0.0, 0.02, generator=draw)
    bound = math.sqrt(3 / width)
    for part in network.layers.modules():
        if isinstance(part, nn.Linear):
            part.weight.uniform_(-bound, bound, generator=draw)
            if part.bias is not None:
                part.bias.zero_()
    for part in network.layers.modules():
        if isinstance(part, Attention):
            part.out.weight.zero_()
        elif isinstance(part, GatedMLP | MLP):
            part.down.weight.zero_()


def new_network(settings: ModelSettings, vocabulary: int, context: int, seed: int) -> Decoder:
    """A new model with its first weights.

    Raises:
        ConfigError: as `config_of`.
    """
    network = Decoder(find(FAMILIES, settings.family).parts(config_of(settings, vocabulary, context)))
    initialise(network, torch.Generator().manual_seed(seed))
    return network
