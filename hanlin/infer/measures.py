"""What is found of texts: scores, choices, tables of what may come next. No torch in here."""

import math
from dataclasses import dataclass
from typing import Literal

Pooling = Literal["mean", "last"]
"""Of the vectors of a text's positions the mean, or that of the last one."""
WINDOW = 2048
"""The window if none is asked for: memory and time stay small, and few tokens see less than a page before them."""


@dataclass(frozen=True)
class Score:
    """A text's log-likelihood and its sizes; scores of several texts add up."""

    loglikelihood: float
    """Sum of the log-probabilities of all tokens, in nats."""
    tokens: int
    """Tokens that were predicted."""
    words: int
    """Runs of characters between white space. Text without spaces, such as Chinese, has few: see bits per byte."""
    bytes: int
    """UTF-8 bytes."""
    forced_cuts: int = 0
    """Places where a stretch without any border was cut to bound memory; ids there may differ from the whole text's."""

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.loglikelihood + other.loglikelihood,
            self.tokens + other.tokens,
            self.words + other.words,
            self.bytes + other.bytes,
            self.forced_cuts + other.forced_cuts,
        )

    @property
    def perplexity(self) -> float:
        """exp of the mean negative log-likelihood per token: comparable between models of one tokenizer only."""
        return _perplexity(self.loglikelihood, self.tokens)

    @property
    def word_perplexity(self) -> float:
        """The same per word: comparable between tokenizers."""
        return _perplexity(self.loglikelihood, self.words)

    @property
    def bits_per_byte(self) -> float:
        """Bits the model needs to write one byte of the text: comparable between tokenizers and languages."""
        return -self.loglikelihood / self.bytes / math.log(2) if self.bytes else math.nan


def _perplexity(loglikelihood: float, count: int) -> float:
    if not count:
        return math.nan
    mean = -loglikelihood / count
    return math.exp(mean) if mean < 700 else math.inf


@dataclass(frozen=True)
class Choice:
    """One of the continuations."""

    text: str
    loglikelihood: float
    """Sum of the log-probabilities of its tokens, in nats: comparable among the choices of one call."""
    tokens: int
    """Tokens that were counted."""
    share: float
    """Its probability if it must be one of these."""

    @property
    def mean(self) -> float:
        """Nats per token: for choices of very different lengths."""
        return self.loglikelihood / self.tokens


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
