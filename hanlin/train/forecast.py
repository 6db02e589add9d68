"""A plan for runs that were begun without one: made from their own first steps, so that every run is held to a plan."""

import time

from hanlin.train import plan
from hanlin.train.step import Step
from hanlin.train.validate import SAMPLE_TOKENS
from hanlin.train.work import Work

STEPS = 8
"""After so many, or a tenth of the run; the first, which warms up, does not count."""
LEAST = 3
BY = "steps"
"""What such a plan is made from."""


class Forecast:
    """Watches a run from its beginning; predicts once, and at the end says what came of it."""

    def __init__(self, work: Work, began: float) -> None:
        """`began` is the time.monotonic() at which preparing began."""
        self.work, self.began = work, began
        self.start_seconds = time.monotonic() - began
        self.is_whole = work.state.step == 0
        """A resumed run is no measure."""
        kept = plan.read(work.run)
        self.is_planned = kept is not None and plan.is_of(kept, work) and kept.get("by") != BY
        """By `hanlin plan`; what an earlier run in this folder made of its own steps is not held against this one."""
        self.seconds: list[float] = []

    def add(self, step: Step) -> None:
        """One more step of the run."""
        self.seconds.append(step.seconds)
        enough = max(LEAST, min(STEPS, self.work.steps // 10))
        if self.is_whole and not self.is_planned and len(self.seconds) == enough + 1:
            self.is_planned = True
            plan.write(self.work, plan.predicted(self.work, self._trial(), BY), BY)

    def outcome(self, loss: float | None) -> dict[str, dict[str, float]] | None:
        """At the end: predicted beside actual; None for a run that was resumed, or too short to predict."""
        if not self.is_whole:
            return None
        return plan.hold(self.work, time.monotonic() - self.began, loss)

    def _trial(self) -> plan.Trial:
        work, steps = self.work, tuple(self.seconds[1:])
        row_seconds = sum(steps) / len(steps) / work.batch
        held = work.validation.facts().rows if work.validation else 0
        validation = row_seconds / 3 * min(held, work.settings.train.validation_rows)
        sample = SAMPLE_TOKENS * row_seconds / 3 / work.settings.data.context
        disk = sum(file.stat().st_size for file in (work.run / "checkpoints").rglob("*") if file.is_file())
        return plan.Trial(steps, self.start_seconds, validation, sample, work.save_seconds, plan.peak_bytes(), disk)
