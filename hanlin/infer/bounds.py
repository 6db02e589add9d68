"""Which tokens may come at all, and which are favoured, whatever was said: settings in, changed logits out.

`logit_bias` as in https://platform.openai.com/docs/api-reference/chat/create: a number added to a token's logit.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int

from hanlin.core.errors import ConfigError
from hanlin.infer.sampling import Sampling

NEVER = -float("inf")


class Bounds:
    """The fixed wishes of a request, checked against the vocabulary."""

    def __init__(self, sampling: Sampling, drawable: int, ends: Iterable[int]) -> None:
        """Ids from `drawable` on mean nothing; those in `ends` end an answer.

        Raises:
            ConfigError: an id is not in the vocabulary, or no token is left that may come.
        """
        check(sampling, drawable)
        self.allowed = _ids(sampling.allowed_tokens)
        self.banned = _ids(sampling.banned_tokens)
        self.favoured = _ids(tuple(sampling.logit_bias))
        self.biases = np.array([sampling.logit_bias[token] for token in self.favoured.tolist()], np.float32)
        self.ends = _ids(tuple(end for end in ends if end < drawable))
        self.min_tokens = sampling.min_tokens

    def is_active(self, count: int) -> bool:
        """Whether anything changes for the token after the answer's first `count`."""
        return count < self.min_tokens or self.is_choosy

    @property
    def is_choosy(self) -> bool:
        """Some tokens may never come, or are favoured."""
        return any(len(ids) for ids in (self.allowed, self.banned, self.favoured))

    def apply(self, logits: Float[np.ndarray, " V"], count: int) -> None:
        """Change the logits in place for the token after the answer's first `count`."""
        if len(self.allowed):
            kept = logits[self.allowed]
            logits.fill(NEVER)
            logits[self.allowed] = kept
        logits[self.banned] = NEVER
        if count < self.min_tokens:
            held = logits[self.ends]
            logits[self.ends] = NEVER
            if bool((logits == NEVER).all()):  # a constraint that has nothing more to say
                logits[self.ends] = held
        if len(self.favoured):
            logits[self.favoured] += self.biases


def check(sampling: Sampling, drawable: int) -> None:
    """Refuse what no vocabulary of `drawable` ids can do.

    Raises:
        ConfigError: an id is not in the vocabulary, or no token is left that may come.
    """
    named = {
        "logit_bias": tuple(sampling.logit_bias),
        "allowed_tokens": sampling.allowed_tokens,
        "banned_tokens": sampling.banned_tokens,
        "shown_tokens": sampling.shown_tokens,
    }
    for name, tokens in named.items():
        for token in tokens:
            if token >= drawable:
                what = f"{name} names token id {token}, which is not in the vocabulary"
                raise ConfigError(what, f"ids run from 0 to {drawable - 1:,}")
    allowed, banned = set(sampling.allowed_tokens), set(sampling.banned_tokens)
    if allowed <= banned if allowed else len(banned) == drawable:
        raise ConfigError("banned_tokens leave no token that may come", "ban fewer, or allow more")


def _ids(tokens: Sequence[int]) -> Int[np.ndarray, " N"]:
    return np.array(sorted(set(tokens)), np.int64)
