"""What is asked of an engine."""

from dataclasses import dataclass, field

from hanlin.infer.constraint import Constraint
from hanlin.infer.sampling import Sampling


@dataclass(frozen=True)
class Request:
    """A prompt and how to go on from it. It has `sampling.n` answers."""

    prompt: tuple[int, ...]
    """Ids, special ones included."""
    sampling: Sampling = field(default_factory=Sampling)
    """How to choose."""
    constraint: Constraint | None = None
    """What the answers must be."""
    prompt_logprobs: int | None = None
    """Also tell what the model thinks of the prompt's own tokens, and this many likeliest ones at each place."""
    rated_from: int = 1
    """The first of the prompt's tokens it is told of, at least 1; what stands before may have been read for others."""
    priority: int = 0
    """Higher ones are computed first, and lose their memory last."""
    adapter: str | None = None
    """By which of the engine's adapters; None for the model as it is."""
    deadline_seconds: float | None = None
    """From its coming on; an answer that is not done by then is ended, with "length" as its reason."""
