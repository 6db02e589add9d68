"""What may come next: a text's tokens in, the likeliest next tokens and the probability of the text itself out."""

from collections.abc import Sequence
from itertools import accumulate

import torch

from hanlin.core.errors import WeightsError
from hanlin.infer.measures import Candidate, Next, Said
from hanlin.infer.score import said
from hanlin.model.network import Network


@torch.inference_mode()
def next_token(network: Network, tokens: Sequence[int], k: int, drawable: int) -> Next:
    """The `k` likeliest tokens after `tokens`, under the model's own distribution; ids from `drawable` on mean nothing.

    Raises:
        WeightsError: the model answers something else than numbers.
    """
    ids = torch.tensor(tokens)
    seen = network.trunk(ids[None])[0]
    own = said(network, seen[:-1], ids[1:]).tolist() if len(ids) > 1 else []
    logits = network.head(seen[-1]).float()
    likeliest = logits.log_softmax(0)[:drawable].topk(min(k, drawable))
    if not bool(likeliest.values.isfinite()[0]):
        raise WeightsError(
            "the model answers nan instead of probabilities", "the weights are damaged: fetch them again"
        )
    masses = accumulate(likeliest.values.exp().tolist())
    rows = zip(likeliest.indices.tolist(), likeliest.values.tolist(), masses, strict=True)
    text = (Said(token, logprob) for token, logprob in zip(tokens, [None, *own], strict=True))
    return Next(tuple(text), tuple(Candidate(*row) for row in rows))
