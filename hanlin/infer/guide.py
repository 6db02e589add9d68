"""Constrained decoding: a constraint and a vocabulary in; at each place of an answer the tokens that fit out.

The llguidance library walks the vocabulary (https://github.com/guidance-ai/llguidance); the bytes of a token are those
of our own tokenizer, so every kind of vocabulary is one to it. A mask over 49,000 tokens takes it 0.1 ms.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hanlin.core.errors import CapacityError, ConfigError, HanlinError, RefusedError
from hanlin.infer.constraint import TOO_LARGE, Constraint, limits, refusal, spelled
from hanlin.text.tokenizer import Tokenizer


class Guide:
    """Where one answer stands in its constraint. `copy` one for each answer."""

    def __init__(self, matcher: Any, drawable: int) -> None:
        """Raises as `accept`."""
        self._matcher = matcher
        self._drawable = drawable
        self._forbidden = self._look()

    def copy(self) -> "Guide":
        """Another answer at the same place."""
        return Guide(self._matcher.deep_copy(), self._drawable)

    @property
    def is_finished(self) -> bool:
        """The answer is whole, and nothing can follow."""
        return self._matcher.is_stopped() or (self._matcher.is_accepting() and bool(self._forbidden.all()))

    def mask(self, logits: Float[np.ndarray, " V"]) -> None:
        """Forbid, in place, every token that does not fit here; an end only fits where the answer is whole."""
        logits[self._forbidden] = -np.inf

    def accept(self, token: int) -> None:
        """The answer goes on with `token`, which `mask` left.

        Raises:
            RefusedError: nothing can follow, and the answer is not whole.
            CapacityError: what can follow takes too long to tell.
        """
        is_right = self._matcher.consume_token(token)
        assert is_right or self._matcher.is_error(), "the token was masked"
        self._forbidden = self._look()

    def would_accept(self, tokens: Sequence[int]) -> bool:
        """Whether the answer could go on with these tokens and then be whole."""
        return self._matcher.validate_tokens(list(tokens)) == len(tokens) and self._ends_after(tokens)

    def _ends_after(self, tokens: Sequence[int]) -> bool:
        matcher = self._matcher.deep_copy()
        return matcher.consume_tokens(list(tokens)) and (matcher.is_accepting() or matcher.is_stopped())

    def _look(self) -> Bool[np.ndarray, " V"]:
        matcher = self._matcher
        if matcher.is_stopped() and not matcher.is_error():
            return np.ones(self._drawable, bool)
        bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        if matcher.is_error():
            told = f"{matcher.stop_reason()}: {matcher.get_error()}".partition("\n")[0]
            if re.search(r"TooComplex|too many|fuel|limit", told):
                raise CapacityError(f"the constraint became too large for its limits: {told[:200]}", TOO_LARGE)
            raise RefusedError(f"the constraint leaves nothing to say here: {told[:200]}", "mend the constraint")
        allowed = np.unpackbits(bits, bitorder="little", count=self._drawable)
        if not allowed.any() and not matcher.is_accepting():
            raise RefusedError("the constraint leaves no token to say here", "mend the constraint")
        return allowed == 0


def guide(constraint: Constraint, tokenizer: Tokenizer, drawable: int) -> Guide:
    """A constraint at its beginning, read against a vocabulary of which the first `drawable` ids can be said.

    Raises:
        ConfigError: it cannot be read with this vocabulary, is too large, or no token can begin it.
    """
    from llguidance import LLMatcher

    matcher = LLMatcher(_vocabulary(tokenizer), spelled(constraint), log_level=0, limits=limits())
    if matcher.is_error():
        raise refusal(constraint, matcher.get_error())
    try:
        return Guide(matcher, drawable)
    except HanlinError as error:
        raise ConfigError(f"{constraint.kind}: nothing satisfies it ({error.what})", error.fix) from None


class _Words:
    """A tokenizer as the library asks for it: the bytes of each id."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer) -> None:
        count = tokenizer.vocab_size
        self.tokens = [tokenizer.token_bytes(token) for token in range(count)] + [b""]
        self.special_token_ids = [token for token in range(count) if tokenizer.is_special(token)] + [count]
        self.eos = list(tokenizer.eos) or [count]  # the library needs one: an id that no model has
        self.eos_token_id = self.eos[0]
        self.encode = tokenizer.encode

    def __call__(self, text: str) -> list[int]:
        return self.encode(text, add_special=False)


@lru_cache(maxsize=4)
def _vocabulary(tokenizer: Tokenizer) -> Any:
    """Half a second for 50,000 tokens, once."""
    from llguidance import LLTokenizer

    words = _Words(tokenizer)
    return LLTokenizer(words, n_vocab=len(words.tokens), eos_token=words.eos)  # pyright: ignore[reportArgumentType]
