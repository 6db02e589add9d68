"""The beginning that all schedules share: the rate rises in equal steps."""


def counted(amount: float, steps: int) -> int:
    """Steps of a part of the run, given as a share of it (below 1) or as a number of steps."""
    return min(steps, round(amount * steps) if amount < 1 else round(amount))


def rising(step: int, warm: int) -> float:
    """The factor of a step of the warm-up: the first already learns, the last has the full rate."""
    return step / warm
