"""Log-likelihoods of continuations, through the engine: batched with everything else, beginnings read once."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from hanlin.core.errors import HanlinError
from hanlin.infer.choices import whole_texts
from hanlin.infer.engine import Request
from hanlin.infer.event import Place
from hanlin.infer.sampling import Sampling
from hanlin.serve.errors import FieldError, TooLongError
from hanlin.serve.pool import Served

SHARED = 64
"""Tokens in common from which on one choice goes ahead, so that the others find what it has read."""


@dataclass(frozen=True)
class Likelihood:
    """Of one continuation."""

    text: str
    logprob: float
    """Sum over its tokens, nats."""
    tokens: int

    def worth(self, normalise: str) -> float:
        """The sum, or divided by a length."""
        lengths = {"tokens": self.tokens, "characters": len(self.text), "bytes": len(self.text.encode())}
        return self.logprob / lengths.get(normalise, 1)


async def likelihoods(served: Served, text: str, choices: Sequence[str]) -> tuple[list[Likelihood], int]:
    """Of each continuation of a text, and the tokens that all of it has.

    Raises:
        FieldError: the choices are none.
        TooLongError: text and choice exceed the window.
    """
    tokenizer = served.model.tokenizer
    try:
        wholes = whole_texts(tokenizer, text, choices)
    except HanlinError as error:
        raise FieldError("choices", error.what, error.fix) from None
    for ids in wholes:
        if len(ids) >= served.context:
            what = f"text and choice have {len(ids):,} tokens and the context window holds {served.context:,}"
            raise TooLongError(what, "shorten the text")
    first, known = wholes[0][:1], tokenizer.encode(text)
    known = known if known[:1] == first else [*first, *known]
    shared = max(1, min(_alike(known, ids) for ids in wholes))
    shared = min(shared, *(len(ids) - 1 for ids in wholes))
    ahead = 1 if shared >= SHARED and len(wholes) > 1 else 0
    sums = [await _sum(served, ids, shared) for ids in wholes[:ahead]]
    sums += await asyncio.gather(*(_sum(served, ids, shared) for ids in wholes[ahead:]))
    pairs = zip(choices, sums, wholes, strict=True)
    return [Likelihood(choice, total, len(ids) - shared) for choice, total, ids in pairs], sum(map(len, wholes))


async def _sum(served: Served, ids: Sequence[int], first: int) -> float:
    request = Request(tuple(ids), Sampling(max_tokens=1), prompt_logprobs=0, rated_from=first)
    ticket = await served.keeper.submit(request)
    return math.fsum([item.logprob async for item in ticket if isinstance(item, Place)])


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def shares(worths: Sequence[float]) -> list[float]:
    """Probabilities if it must be one of these."""
    top = max(worths)
    parts = [math.exp(worth - top) for worth in worths]
    return [part / sum(parts) for part in parts]
