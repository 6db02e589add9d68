"""All that a run has in hand while it trains: made by `prepare`, changed by `fit`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hanlin.data.stream import Stream
from hanlin.model.checkpoint import Checkpoint
from hanlin.train.crew import Crew
from hanlin.train.ema import Mean
from hanlin.train.objective import Pupil
from hanlin.train.pupil import Learner
from hanlin.train.settings import RunFile
from hanlin.train.shards import Shards
from hanlin.train.state import State


@dataclass(eq=False)
class Work:
    """The things that live during a run."""

    settings: RunFile
    run: Path
    """The run's folder."""
    pupil: Pupil
    base: Checkpoint | None
    """What it started from; its network is the pupil's."""
    stream: Stream
    """Training rows."""
    validation: Stream | None
    learner: Learner
    """The pupil's network and head as one module."""
    optimiser: torch.optim.Optimizer
    steps: int
    """In all."""
    rate: float
    """The highest learning rate."""
    batch: int
    """Rows per update, of all processes together."""
    rows: int
    """Rows per pass."""
    identity: Mapping[str, Any]
    device: torch.device
    peak: float | None = None
    """Operations per second of this machine's matrix products, measured; None where they were not."""
    save_seconds: float = 0.0
    """What the last checkpoint took."""
    crew: Crew = field(default_factory=Crew)
    shards: Shards | None = None
    """The weights, where they are divided among processes."""
    state: State = field(default_factory=State)
    mean: Mean | None = None
    """Running mean of the weights, if the run keeps one."""
    classes: tuple[str, ...] = ()
    """Names of the labels, for objectives with classes."""
    data_facts: dict[str, Any] = field(default_factory=dict)
    """Hashes and counts of the data, for lineage and reports."""

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All weights are here, where they are divided; all processes enter and leave it together."""
        if self.shards is None:
            yield
        else:
            with self.shards.whole():
                yield

    @property
    def schedule(self) -> Any:
        """How the rate goes."""
        return self.settings.train.schedule
