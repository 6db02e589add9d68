"""How an answer is chosen: the settings of every verb and API that generates. No torch in here.

The order in which they act on the model's logits, that of Transformers where it has the step:

    repetition_penalty → frequency_penalty, presence_penalty → temperature → top_k → top_p → min_p → typical_p → draw

The default is greedy: the same question has the same answer, on every run.
"""

import secrets
from typing import Literal

from pydantic import Field, field_validator

from hanlin.core.settings import Settings

Overflow = Literal["error", "slide"]

SEEDS = 1 << 63
SLIDE = "generation can forget its beginning: --overflow slide"
"""The way out for what does not fit the window."""


class Sampling(Settings):
    """What `hanlin generate` and `Model.generate` take."""

    max_tokens: int = Field(default=256, ge=1)
    """Most tokens of one answer."""
    temperature: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """0 takes the likeliest token each time (greedy); 1 draws as the model believes; more is wilder."""
    top_k: int = Field(default=0, ge=0)
    """Draw from the k likeliest tokens only; 0 is off."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw from the likeliest tokens that together hold this share of probability; 1 is off."""
    min_p: float = Field(default=0.0, ge=0, le=1)
    """Drop tokens less likely than this share of the likeliest one; 0 is off."""
    typical_p: float = Field(default=1.0, gt=0, le=1)
    """Draw from the tokens closest to the expected surprise that hold this share of probability; 1 is off."""
    repetition_penalty: float = Field(default=1.0, ge=0.01, le=100)
    """Divides positive logits of tokens in the prompt or answer, multiplies negative ones, 0.01 to 100; 1 is off."""
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    """Subtracted from a token's logit for each time the answer has it, -2 to 2, as in OpenAI's API; 0 is off."""
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    """Subtracted once from the logit of every token the answer has, -2 to 2, as in OpenAI's API; 0 is off."""
    stop: tuple[str, ...] = ()
    """End the answer before this text; may be given several times."""
    seed: int | None = Field(default=None, ge=0, lt=SEEDS)
    """Where chance starts: the same seed, the same answer. Answer i draws from seed + i. Without one, a fresh one."""
    logprobs: int | None = Field(default=None, ge=0, le=100)
    """Also tell this many likeliest tokens at each place. Log-probabilities are the model's own, before all this."""
    n: int = Field(default=1, ge=1, le=128)
    """Answers to the same prompt, made side by side."""
    overflow: Overflow = "error"
    """If prompt and max_tokens exceed the context window: `error` at once, or `slide` and forget the oldest half."""

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_many(cls, stop: object) -> object:
        return (stop,) if isinstance(stop, str) else stop

    @field_validator("stop")
    @classmethod
    def _says_something(cls, stop: tuple[str, ...]) -> tuple[str, ...]:
        if "" in stop:
            raise ValueError("a stop text must have at least one character")
        return stop

    @property
    def is_greedy(self) -> bool:
        """No chance involved: the likeliest token after the penalties."""
        return self.temperature == 0

    @property
    def has_penalties(self) -> bool:
        """Some logits depend on what was said before."""
        return self.repetition_penalty != 1 or self.frequency_penalty != 0 or self.presence_penalty != 0

    def seeds(self) -> list[int]:
        """One seed per answer: seed, seed + 1, …; from the system's entropy if none was set."""
        first = secrets.randbelow(SEEDS) if self.seed is None else self.seed
        return [(first + index) % SEEDS for index in range(self.n)]
