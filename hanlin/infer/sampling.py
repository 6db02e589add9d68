"""How an answer is chosen: the settings of every verb and API that generates. No torch in here.

The order in which they act on the model's logits, that of Transformers where it has the step:

    constraint, allowed_tokens, banned_tokens, min_tokens   what may come at all
    → logit_bias → repetition_penalty → frequency_penalty, presence_penalty → dry   what is less or more welcome
    → temperature → top_k → top_p → min_p → typical_p → xtc → draw   skipped where temperature is 0

The default is greedy: the same question has the same answer, on every run.
"""

import secrets
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from hanlin.core.settings import Settings

Overflow = Literal["error", "slide"]

Token = Annotated[int, Field(ge=0)]
Bias = Annotated[float, Field(ge=-100, le=100)]

SEEDS = 1 << 63
SLIDE = "generation can forget its beginning: --overflow slide"
"""The way out for what does not fit the window."""


class Sampling(Settings):
    """What `hanlin generate` and `Model.generate` take."""

    max_tokens: int = Field(default=256, ge=1)
    """Most tokens of one answer."""
    min_tokens: int = Field(default=0, ge=0)
    """The model may not end its answer before this many tokens; a stop text or a constraint may."""
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
    dry_multiplier: float = Field(default=0.0, ge=0, le=100)
    """DRY: what a token loses that repeats a passage, multiplier × base^(matched − allowed); 0 is off, 0.8 usual."""
    dry_base: float = Field(default=1.75, ge=1, le=100)
    """DRY: by what its loss grows with each further token of the passage."""
    dry_allowed_length: int = Field(default=2, ge=1)
    """DRY: repeats of fewer tokens cost nothing, this many cost the multiplier."""
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    """DRY: no passage reaches over these texts; several times for several  [default: line break, colon, quote, star]"""
    dry_penalty_last_n: int = Field(default=-1, ge=-1)
    """DRY: how many of the last tokens are looked at, the prompt's included; -1 is all, 0 none."""
    xtc_probability: float = Field(default=0.0, ge=0, le=1)
    """XTC: how often all likely tokens but the least likely of them are left out; 0 is off."""
    xtc_threshold: float = Field(default=0.1, gt=0, le=0.5)
    """XTC: the probability from which on a token is a likely one."""
    logit_bias: dict[Token, Bias] = Field(default_factory=dict)
    """Added to the logit of a token id, -100 to 100, as in OpenAI's API."""
    allowed_tokens: tuple[Token, ...] = ()
    """If given, only these token ids may come; name an end token among them for answers that end by themselves."""
    banned_tokens: tuple[Token, ...] = ()
    """Token ids that never come."""
    shown_tokens: tuple[Token, ...] = ()
    """Special tokens whose text is shown, such as one that opens a tool call; the others are left out of the text."""
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

    @field_validator("dry_sequence_breakers")
    @classmethod
    def _breaks_something(cls, breakers: tuple[str, ...]) -> tuple[str, ...]:
        if "" in breakers:
            raise ValueError("a sequence breaker must have at least one character")
        return breakers

    @model_validator(mode="after")
    def _can_end(self) -> "Sampling":
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens {self.min_tokens} exceeds max_tokens {self.max_tokens}")
        return self

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
