"""Where a run stands: all that the loop changes from step to step, beside the weights and the optimiser's own state.

Chance needs no state: what is drawn at a step depends on the run's seed and the step's number alone.
"""

from typing import Any

import numpy as np
import torch
from pydantic import Field

from hanlin.core.settings import Settings
from hanlin.data.stream import Cursor


class State(Settings):
    """Plain numbers; a checkpoint's state.json."""

    step: int = 0
    """Updates made."""
    cursor: Cursor = Cursor()
    """Where the data goes on."""
    tokens: int = 0
    """Positions read so far."""
    seconds: float = 0.0
    """Of training so far, all sessions together."""
    mean_loss: float | None = None
    """Running mean, for the guard."""
    rate_factor: float = 1.0
    """Halved by the guard each time the run diverges."""
    setbacks: int = 0
    """How often it has."""
    best_loss: float | None = None
    """Of validation."""
    best_step: int | None = None
    """Where it was."""
    worse: int = 0
    """Validations since the best one."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """An objective's own."""


def draw_at(seed: int, step: int, salt: int = 0) -> np.random.Generator:
    """Chance for one step: a pure function of its arguments."""
    return np.random.default_rng([seed, step, salt])


def seed_torch(seed: int, step: int, rank: int = 0) -> None:
    """The same for torch's own chance, such as dropout."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, 7, rank]).generate_state(1, np.uint64)[0] >> 1))
