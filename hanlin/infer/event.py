"""What generation yields: one event per token and answer. No torch in here."""

from dataclasses import dataclass
from typing import Literal

Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class Top:
    """One of the likeliest tokens at a place."""

    token: int
    """Its id."""
    logprob: float
    """Its log-probability in nats, the model's own."""


@dataclass(frozen=True)
class Place:
    """A token of a prompt, and what the model thought of it before it came."""

    token: int
    """Its id."""
    logprob: float
    """Its log-probability in nats."""
    rank: int
    """1 if no token was likelier."""
    top: tuple[Top, ...] = ()
    """The likeliest tokens at this place, if they were asked for."""


@dataclass(frozen=True)
class Event:
    """A token was chosen. The texts of one answer's events, joined, are the answer."""

    index: int
    """Which answer, 0 to n - 1."""
    token: int
    """The id chosen; also the one that ends the answer."""
    text: str
    """What can be shown now: whole characters, nothing that may yet be a stop text. Often empty."""
    logprob: float
    """The token's log-probability in nats under the model itself: log-softmax of its logits, before any setting."""
    top: tuple[Top, ...] = ()
    """The likeliest tokens at this place, if they were asked for, under the same distribution."""
    finish: Finish | None = None
    """On an answer's last event why it ended: the model or a stop text ("stop"), or max_tokens ("length")."""
    stopped_by: str | None = None
    """On an answer's last event the stop text that ended it, if one did."""
    dropped: int = 0
    """Oldest tokens forgotten just before this one because the context window was full (overflow="slide")."""
