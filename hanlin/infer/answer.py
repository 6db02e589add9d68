"""One answer in the making: a row of logits in, an event out. It owns its chance, its penalties, its text.

The order of what acts on the logits stands at the top of `hanlin.infer.sampling`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hanlin.core.errors import RefusedError
from hanlin.infer.bounds import NEVER, Bounds
from hanlin.infer.chance import Chance
from hanlin.infer.choose import History, check, choose, report
from hanlin.infer.dry import Dry
from hanlin.infer.event import Event, Finish
from hanlin.infer.guide import Guide
from hanlin.infer.sampling import Sampling
from hanlin.infer.stop import StopWatch
from hanlin.text.tokenizer import Tokenizer


class Known(NamedTuple):
    """What is found of all rows of logits at once."""

    total: float
    """Their logsumexp."""
    likeliest: int
    """The token of the greatest, the first one of several."""


class Answer:
    """Answer `index` to a prompt, drawn from its own seed. It lives until its last event."""

    def __init__(
        self,
        index: int,
        seed: int,
        prompt: Sequence[int],
        drawable: int,
        tokenizer: Tokenizer,
        sampling: Sampling,
        guide: Guide | None = None,
    ) -> None:
        """`guide` holds it to a constraint, and is its own.

        Raises:
            ConfigError: the settings name a token id that is not in the vocabulary, or leave none that may come.
        """
        self.index = index
        self.sampling = sampling
        self.tokens = list(prompt)
        """Prompt and answer so far."""
        self.count = 0
        """Tokens of the answer so far."""
        self.chance = Chance(seed)
        self.finish: Finish | None = None
        self.drawable = drawable
        self.history = History(self.tokens, self.drawable, sampling)
        self.ends = ends(tokenizer, sampling)
        self.bounds = Bounds(sampling, drawable, self.ends)
        self.dry = Dry(self.tokens, tokenizer, sampling)
        self.spared = self.ends | line_break(tokenizer) if sampling.xtc_probability else self.ends
        self.guide = guide
        self.stream = tokenizer.stream(goes_on=guide is not None, shown=sampling.shown_tokens)
        self.watch = StopWatch(sampling.stop)

    def take(self, logits: Float[np.ndarray, " V"], known: Known, dropped: int = 0) -> Event:
        """Choose the next token from the model's logits.

        Args:
            dropped: tokens forgotten just before.

        Raises:
            WeightsError: the logits are not numbers.
            RefusedError: settings and constraint leave no token that may come, or none after this one.
            CapacityError: what the constraint allows takes too long to tell.
        """
        check(known.total)
        if self._wants(known.likeliest):
            token = known.likeliest
        else:
            welcome = self.dry.penalise(self.history.penalise(self._possible(logits[: self.drawable])))
            token = choose(welcome, self.sampling, self.chance, self.spared)
        logprob, top = report(logits, token, self.sampling.logprobs, self.drawable, known.total)
        self.history.add(token)
        self.dry.add(token)
        if self.guide is not None:
            self.guide.accept(token)
        self.tokens.append(token)
        self.count += 1
        text, self.finish = self._say(token)
        return Event(self.index, token, text, logprob, top, self.finish, self.watch.found, dropped)

    def _wants(self, likeliest: int) -> bool:
        """Whether the model's likeliest token is the next one: nothing that is set stands against it."""
        is_free = (
            self.guide is None and self.history.counts is None and not self.dry.is_on and not self.bounds.is_choosy
        )
        return (
            self.sampling.is_greedy and is_free and (self.count >= self.bounds.min_tokens or likeliest not in self.ends)
        )

    def _possible(self, logits: Float[np.ndarray, " V"]) -> Float[np.ndarray, " V"]:
        """The logits, minus infinity where a token may not come, changed by what is favoured."""
        if self.guide is None and not self.bounds.is_active(self.count):
            return logits
        logits = logits.copy()  # log-probabilities are told before all this
        if self.guide is not None:
            self.guide.mask(logits)
        self.bounds.apply(logits, self.count)
        if logits.max() == NEVER:
            fix = "allow more tokens, ban fewer, or loosen the constraint"
            raise RefusedError(f"after {self.count:,} tokens of the answer no token may come", fix)
        return logits

    def _say(self, token: int) -> tuple[str, Finish | None]:
        """What may be shown after `token`, and whether that was the end. Half a character is never shown."""
        if token in self.ends:
            return self.watch.push(self.stream.finish()) + self.watch.finish(), "stop"
        text = self.watch.push(self.stream.push(token))
        if self.watch.is_stopped:
            return text, "stop"
        if self.guide is not None and self.guide.is_finished:
            return text + self.watch.push(self.stream.finish()) + self.watch.finish(), "stop"
        if self.count == self.sampling.max_tokens:
            return text + self.watch.finish(), "length"
        return text, None


def ends(tokenizer: Tokenizer, sampling: Sampling) -> frozenset[int]:
    """Tokens that end an answer: the model's own, and stop texts that are a special token (those show no text)."""
    named = [tokenizer.encode(stop, add_special=False) for stop in sampling.stop]
    lone = {tokens[0] for tokens in named if len(tokens) == 1}
    return frozenset(tokenizer.eos) | {token for token in lone if tokenizer.is_special(token)}


def line_break(tokenizer: Tokenizer) -> frozenset[int]:
    """The token that is a line break and nothing else, if there is one."""
    tokens = tokenizer.encode("\n", add_special=False)[-1:]
    return frozenset(token for token in tokens if tokenizer.token_bytes(token) == b"\n")
