"""DRY, "don't repeat yourself": what an answer has said in, which next tokens would go on repeating it out.

The penalty of https://github.com/oobabooga/text-generation-webui/pull/5677: where the last n tokens have occurred
before, the token that followed them then loses multiplier × base^(n − allowed). No passage reaches back over a
sequence breaker, and a token that is itself one is never penalised. A breaker is found in the text, as in llama.cpp,
so it may be part of a token, or spread over several.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from hanlin.infer.sampling import Sampling
from hanlin.text.tokenizer import Tokenizer

LARGEST = 1e30
"""More than any logit, less than float32 holds: a penalty beyond it would be one of nothing."""


class Dry:
    """The passages of one answer, its prompt included. Nothing is kept where DRY is off."""

    def __init__(self, prompt: Sequence[int], tokenizer: Tokenizer, sampling: Sampling) -> None:
        self.sampling = sampling
        self.tokenizer = tokenizer
        self.is_on = sampling.dry_multiplier > 0 and sampling.dry_penalty_last_n != 0
        if not self.is_on:
            return
        self.breakers = [breaker.encode() for breaker in sampling.dry_sequence_breakers]
        self.reach = max(map(len, self.breakers), default=1) - 1
        self.tail = b""
        """The last bytes of the text: the beginning of what may become a breaker."""
        breaks = [place for place, token in enumerate(prompt) if self._completes_breaker(token)]
        begun = breaks[-1] + 1 if breaks else min(1, len(prompt))
        self.tokens = np.array(prompt[:begun], dtype=np.int64)
        self.matched = np.zeros(max(0, begun - 1), dtype=np.int64)
        """At each place but the last: how many tokens that end there equal as many that end the answer."""
        for token in prompt[begun:]:
            self._extend(token, is_break=False)

    def add(self, token: int) -> None:
        """The answer goes on with `token`."""
        if self.is_on:
            self._extend(token, is_break=self._completes_breaker(token))

    def _extend(self, token: int, *, is_break: bool) -> None:
        before = np.concatenate([[0], self.matched]) if len(self.tokens) else self.matched
        self.matched = np.zeros_like(before) if is_break else (self.tokens == token) * (before + 1)
        self.tokens = np.append(self.tokens, token)

    def penalise(self, logits: Float[np.ndarray, " V"]) -> Float[np.ndarray, " V"]:
        """The logits, less what each token would repeat."""
        if not self.is_on or len(self.tokens) < 2:
            return logits
        last = self.sampling.dry_penalty_last_n
        start = max(0, len(self.tokens) - last) if last > 0 else 0
        matched = self.matched[start:]
        matched = np.minimum(matched, np.arange(1, len(matched) + 1))  # nothing from before the window counts
        places = np.flatnonzero(matched >= self.sampling.dry_allowed_length)
        if not len(places):
            return logits
        tokens, which = np.unique(self.tokens[start:][places + 1], return_inverse=True)
        longest = np.zeros(len(tokens))
        np.maximum.at(longest, which, matched[places])
        is_kept = np.array([self._is_breaker(int(token)) or token >= len(logits) for token in tokens])
        less = logits.copy()
        less[tokens[~is_kept]] -= self._penalty(longest[~is_kept]).astype(logits.dtype)
        return less

    def _penalty(self, matched: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            grown = np.power(self.sampling.dry_base, matched - self.sampling.dry_allowed_length)
            return np.minimum(self.sampling.dry_multiplier * grown, LARGEST)

    def _is_breaker(self, token: int) -> bool:
        written = self._bytes(token)
        return any(breaker in written for breaker in self.breakers)

    def _completes_breaker(self, token: int) -> bool:
        """Whether a breaker ends within `token`, which goes on the text."""
        text = self.tail + self._bytes(token)
        begun = len(self.tail)
        self.tail = text[len(text) - min(self.reach, len(text)) :]
        return any(text.find(breaker, max(0, begun - len(breaker) + 1)) >= 0 for breaker in self.breakers)

    def _bytes(self, token: int) -> bytes:
        """Nothing for an id of a prompt that only the network knows."""
        return self.tokenizer.token_bytes(token) if token < self.tokenizer.vocab_size else b""
