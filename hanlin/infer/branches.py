"""Several texts that begin alike, read at once: their beginning one time only.

Choices of an answer, texts to be embedded and prompts to be looked at all come this way.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hanlin.model.compiled import Compiled
from hanlin.model.network import Network


@torch.inference_mode()
def branches(network: Network, beginning: Sequence[int], ends: Sequence[Sequence[int]]) -> list[Float[Tensor, "_ D"]]:
    """The residual stream after the last norm, at each position of each end; `beginning` may be empty, ends may not.

    A compiled model gives an end the same bits beside any others, and whole as with its beginning read before.
    """
    tensors: list[Int[Tensor, " _"]] = [torch.tensor(end) for end in ends]
    if isinstance(network, Compiled):
        return network.branches(torch.tensor(beginning, dtype=torch.long), tensors)
    cache = network.cache(1, len(beginning) + max(map(len, ends), default=0))
    if beginning:
        network.trunk(torch.tensor([beginning]), cache)
    found = []
    for end in tensors:
        found.append(network.trunk(end[None], cache)[0])
        cache.cut(len(beginning))
    return found
