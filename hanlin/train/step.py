"""What the loop yields: one `Step` per update of the weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Validation:
    """How the model does on text it is not trained on."""

    loss: float
    """Nats per graded token (or what the objective reports per row)."""
    bits_per_byte: float | None
    """Of the graded text; None where bytes mean nothing, as for classes."""
    tokens: int
    seconds: float
    figures: Mapping[str, float] = field(default_factory=dict)
    """The objective's own, such as accuracy."""
    is_best: bool = False
    """No earlier one of this run was lower."""


@dataclass(frozen=True)
class Step:
    """One update of the weights, and what it took."""

    number: int
    """The first is 1."""
    loss: float
    """Of the batch, before the update."""
    rate: float
    """The learning rate of this step."""
    gradient_norm: float
    """Before clipping."""
    rows: int
    tokens: int
    """Positions that were read, padding included."""
    graded: int
    """Positions that counted."""
    seconds: float
    """Wall time of this step, validation, samples and saving left out."""
    waiting_seconds: float
    """Of these, waiting for data."""
    operations: float
    """Floating-point operations of the model, by formula (see `hanlin.train.cost`)."""
    peak_share: float | None = None
    """MFU: operations per second over the most that this machine was measured to do; None if unknown."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """The objective's own, such as accuracy or margin."""
    validation: Validation | None = None
    sample: str | None = None
    """What the model writes now."""
    notes: tuple[str, ...] = ()
    """Said aloud: a spike, a fallback, a checkpoint."""
    is_saved: bool = False
    """A checkpoint of this step follows."""
    stop: str | None = None
    """Why this is the last step, if it is: "steps", "patience", "budget"."""
