"""What may come next: a text's tokens in, the likeliest next tokens and the probability of the text itself out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

from hanlin.core.errors import WeightsError
from hanlin.infer.score import said
from hanlin.model.compiled import Network


@dataclass(frozen=True)
class Said:
    """A token of the text."""

    token: int
    """Its id."""
    logprob: float | None
    """Its log-probability in nats given all before it; None for the first, before which there is nothing."""


@dataclass(frozen=True)
class Candidate:
    """A token that may come next."""

    token: int
    """Its id."""
    logprob: float
    """Its log-probability in nats."""
    mass: float
    """Probability of this token and all likelier ones together."""

    @property
    def probability(self) -> float:
        """Between 0 and 1."""
        return math.exp(self.logprob)


@dataclass(frozen=True)
class Next:
    """The table of the next token, likeliest first, and what the model thinks of the text before it."""

    said: tuple[Said, ...]
    """The text, token by token."""
    candidates: tuple[Candidate, ...]
    """The likeliest next tokens."""

    @property
    def loglikelihood(self) -> float:
        """Log-probability of the text in nats, given its first token."""
        return sum(one.logprob for one in self.said if one.logprob is not None)


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
