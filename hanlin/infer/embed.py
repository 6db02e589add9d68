"""Texts in, vectors out: what a decoder makes of a text, as one direction.

The mean over all positions of the stream after the last norm, or the last position's, which alone has seen the whole
text; of length 1, so that a product of two is their cosine. A decoder that was not trained for it tells topics apart,
not much more.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from hanlin.core.errors import DataError, WeightsError
from hanlin.infer.branches import branches
from hanlin.infer.measures import Pooling
from hanlin.model.network import Network
from hanlin.text.tokenizer import Tokenizer


def embed(
    network: Network, tokenizer: Tokenizer, texts: Sequence[str], pooling: Pooling = "mean"
) -> Float[np.ndarray, "N D"]:
    """A vector of length 1 for each text, float32.

    Raises:
        DataError: a text is empty.
        WeightsError: the model answers something else than numbers.
    """
    ids = [tokenizer.encode(text) for text in texts]
    for place, one in enumerate(ids):
        if not one:
            raise DataError(f"texts[{place}] is empty: there is nothing to embed", "leave it out")
    return embed_ids(network, ids, pooling)


@torch.inference_mode()
def embed_ids(network: Network, ids: Sequence[Sequence[int]], pooling: Pooling = "mean") -> Float[np.ndarray, "N D"]:
    """The same of texts as ids, none of them empty; those of one call may be read together.

    Raises:
        WeightsError: the model answers something else than numbers.
    """
    seen = branches(network, [], ids)
    pooled = [states[-1] if pooling == "last" else states.float().mean(0) for states in seen]
    if not pooled:
        return np.empty((0, network.config.width), np.float32)
    found = torch.nn.functional.normalize(torch.stack(pooled).float(), dim=1).numpy()
    if not np.isfinite(found).all():
        raise WeightsError("the model answers nan instead of numbers", "the weights are damaged: fetch them again")
    return found
