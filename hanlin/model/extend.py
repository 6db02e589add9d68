"""A model and its extended tokenizer in; the model with a row of embedding and head for each new token out.

A new row is the mean of the rows of the old tokens that the new one is made of: close to what the model knows of it,
and the usual start before further training. Reference: Hewitt 2021, https://nlp.stanford.edu/~johnhew/vocab-expansion.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from hanlin.core.errors import RefusedError
from hanlin.core.plugins import find
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.opened import FAMILIES
from hanlin.text.tokenizer import Tokenizer

ROWS = ("embed.weight", "unembed.weight")
"""Parameters with a row per token."""


def extended(checkpoint: Checkpoint, tokenizer: Tokenizer, made_of: Mapping[int, Sequence[int]]) -> Checkpoint:
    """A new checkpoint; all weights but the embedding and the head are shared with the old one.

    Args:
        checkpoint: the model as it was.
        tokenizer: its tokenizer with the new tokens.
        made_of: each new token's id, and the old ids it is made of.

    Raises:
        RefusedError: the model has further weights with a row per token.
    """
    rows = max(checkpoint.config.vocabulary, tokenizer.vocab_size)
    config = checkpoint.config.model_copy(update={"vocabulary": rows})
    with torch.device("meta"):
        network = Decoder(find(FAMILIES, checkpoint.family).parts(config)).eval()
    weights = dict(checkpoint.network.state_dict())
    weights |= {name: with_rows(weights[name], rows, made_of) for name in ROWS if name in weights}
    for name, wanted in network.state_dict().items():
        if wanted.shape != weights[name].shape:
            raise RefusedError(
                f"{name} has a row per token, and how it grows is not known", "take a model without such weights"
            )
    network.load_state_dict(weights, assign=True)
    return replace(checkpoint, network=network, config=config, tokenizer=tokenizer, quantised=None)


def with_rows(weight: Float[Tensor, "V D"], rows: int, made_of: Mapping[int, Sequence[int]]) -> Float[Tensor, "rows D"]:
    """The weight with `rows` rows, those of `made_of` being means of old ones; others that are new are their mean."""
    old = weight.detach()
    grown = old.new_empty(rows, old.shape[1])
    grown[: len(old)] = old
    if rows > len(old):
        grown[len(old) :] = old.float().mean(0).to(old.dtype)
    for at, parts in made_of.items():
        grown[at] = old[list(parts)].float().mean(0).to(old.dtype)
    return grown
