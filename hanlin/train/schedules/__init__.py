"""How the learning rate goes over time: one file each, named by `train.schedule.use`."""

from hanlin.core.settings import Settings


class Schedule(Settings):
    """The parent of each file's `Schedule`."""

    def factor(self, step: int, steps: int) -> float:
        """What the rate is multiplied by at a step (the first is 1) of so many: a pure function."""
        raise NotImplementedError
