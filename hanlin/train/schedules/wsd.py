"""Warm up, stay, cool down: the middle can be of any length, so a run can be prolonged (https://arxiv.org/abs/2404.06395).

The shape of the cool-down by square root is from https://arxiv.org/abs/2405.18392.
"""

import math
from typing import Literal

from pydantic import Field

from hanlin.train import schedules
from hanlin.train.schedules._warmup import counted, rising


class Schedule(schedules.Schedule):
    """Settings of `train.schedule.use = "wsd"`."""

    use: Literal["wsd"] = "wsd"
    """The file of this schedule."""
    warmup: float = Field(default=0.02, ge=0)
    """Share of the steps in which the rate rises; from 1 on, their number."""
    cooldown: float = Field(default=0.3, ge=0)
    """Share of the steps in which it falls; from 1 on, their number."""
    shape: Literal["linear", "sqrt"] = "linear"
    """How it falls: in a straight line, or as 1 - √(share of the cool-down that is done)."""
    floor: float = Field(default=0.0, ge=0, le=1)
    """What the rate falls to, as a share of the full one; a step after the last would have it."""

    def factor(self, step: int, steps: int) -> float:
        """1 between warm-up and cool-down; where the two overlap, the smaller factor."""
        warm, cool = counted(self.warmup, steps), counted(self.cooldown, steps)
        up = rising(step, warm) if step <= warm else 1.0
        done = min(1.0, max(0.0, (step - 1 - (steps - cool)) / cool)) if cool else 0.0
        return min(up, 1 - (1 - self.floor) * (math.sqrt(done) if self.shape == "sqrt" else done))
