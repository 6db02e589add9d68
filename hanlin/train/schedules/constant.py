"""One rate throughout, after a warm-up."""

from typing import Literal

from pydantic import Field

from hanlin.train import schedules
from hanlin.train.schedules._warmup import counted, rising


class Schedule(schedules.Schedule):
    """Settings of `train.schedule.use = "constant"`."""

    use: Literal["constant"] = "constant"
    """The file of this schedule."""
    warmup: float = Field(default=0.02, ge=0)
    """Share of the steps in which the rate rises; from 1 on, their number."""

    def factor(self, step: int, steps: int) -> float:
        """1, once warm."""
        warm = counted(self.warmup, steps)
        return rising(step, warm) if step <= warm else 1.0
