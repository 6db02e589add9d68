"""Half a wave of a cosine from the full rate down to a floor (https://arxiv.org/abs/1608.03983), after a warm-up."""

import math
from typing import Literal

from pydantic import Field

from hanlin.train import schedules
from hanlin.train.schedules._warmup import counted, rising


class Schedule(schedules.Schedule):
    """Settings of `train.schedule.use = "cosine"`."""

    use: Literal["cosine"] = "cosine"
    """The file of this schedule."""
    warmup: float = Field(default=0.02, ge=0)
    """Share of the steps in which the rate rises; from 1 on, their number."""
    floor: float = Field(default=0.1, ge=0, le=1)
    """What the rate falls to, as a share of the full one; a step after the last would have it."""

    def factor(self, step: int, steps: int) -> float:
        """The first step after the warm-up has the full rate."""
        warm = counted(self.warmup, steps)
        if step <= warm:
            return rising(step, warm)
        done = min(1.0, (step - 1 - warm) / (steps - warm)) if steps > warm else 1.0
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2
