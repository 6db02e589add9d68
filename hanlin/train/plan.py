"""What a run will cost, before it: a trial of a few real steps in; time, memory, disk and loss with intervals out.

    seconds = start + steps × step + validations × validation + checkpoints × checkpoint

A trial trains for real on the run's own rows, for at most `TRIAL_SECONDS`, and throws the weights away. What earlier
runs on this machine took beside what was predicted for them corrects the next prediction (`calibration.jsonl` in the
user's own folder of Hanlin).
"""

import json
import math
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hanlin.core.home import home
from hanlin.core.machine import allowed_memory
from hanlin.core.run import replacing
from hanlin.train import loop
from hanlin.train.known import known_losses, middle, remember
from hanlin.train.save import EVERY_SECONDS, Saver
from hanlin.train.validate import sample, validate
from hanlin.train.work import Work

NAME = "plan.json"
CALIBRATION = "calibration.jsonl"
TRIAL_SECONDS = 20.0
LEAST_STEPS, MOST_STEPS = 3, 30
REMEMBERED = 20
"""Earlier runs that correct a prediction."""
SPREAD = 0.08
"""Half an interval at least: machines are never quieter than this."""


@dataclass(frozen=True)
class Guess:
    """A figure and the interval it is expected in."""

    value: float
    low: float
    high: float

    def holds(self, actual: float) -> bool:
        """Whether the interval has it."""
        return self.low <= actual <= self.high


@dataclass(frozen=True)
class Trial:
    """What a few steps took."""

    step_seconds: tuple[float, ...]
    """Of each, the first (which warms up) left out."""
    start_seconds: float
    """From the beginning of the process to the first step."""
    validation_seconds: float
    """One validation and one sample."""
    save_seconds: float
    """One checkpoint."""
    peak_bytes: int
    """Most memory that was resident at once."""
    disk_bytes: int
    """Of one checkpoint."""


@dataclass(frozen=True)
class Plan:
    """What a run is expected to cost."""

    steps: int
    tokens: int
    """Positions that will be read."""
    weights: int
    """Parameters of the model."""
    learning: int
    """Of these, the ones that learn."""
    seconds: Guess
    memory_bytes: Guess
    disk_bytes: int
    loss: Guess | None
    """Of the last validation; None where no run like this is known."""
    free_memory_bytes: int
    free_disk_bytes: int
    advice: tuple[str, ...] = ()
    """What to change if it does not fit."""

    @property
    def fits(self) -> bool:
        """Memory and disk are enough."""
        return self.memory_bytes.value <= self.free_memory_bytes and self.disk_bytes <= self.free_disk_bytes


def trial(work: Work, start_seconds: float) -> Trial:
    """Train a few steps and throw them away; the run's folder is not touched.

    Args:
        start_seconds: how long preparing took.
    """
    with tempfile.TemporaryDirectory(prefix="hanlin-plan-") as folder:
        scratch = replace(work, run=Path(folder))
        batches = scratch.stream.batches()
        began, seconds = time.perf_counter(), []
        for number in range(1, MOST_STEPS + 1):
            at = time.perf_counter()
            batch, _ = next(batches)
            loop.update(scratch, batch, number)
            seconds.append(time.perf_counter() - at)
            if number > LEAST_STEPS and time.perf_counter() - began > TRIAL_SECONDS:
                break
        at = time.perf_counter()
        if scratch.validation is not None:
            validate(scratch)
        sample(scratch)
        validated = time.perf_counter()
        Saver(scratch).save()
        saved = time.perf_counter()
        disk = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    return Trial(tuple(seconds[1:]), start_seconds, validated - at, saved - validated, peak_bytes(), disk)


def predicted(work: Work, found: Trial) -> Plan:
    """The plan that a trial gives."""
    setup = work.settings.train
    step = statistics.median(found.step_seconds)
    training = work.steps * step
    validations = max(1, work.steps // (setup.validate_every or max(1, work.steps // 10)))
    every = setup.save_every or max(1, round(EVERY_SECONDS / step))
    saves = 2 + work.steps // every
    seconds = found.start_seconds + training + validations * found.validation_seconds + saves * found.save_seconds
    deviation = statistics.pstdev(found.step_seconds) / step / math.sqrt(len(found.step_seconds))
    time_factor, time_spread = _correction("seconds", work)
    memory_factor, memory_spread = _correction("memory_bytes", work)
    disk = found.disk_bytes * (setup.keep + 2)
    network, losses = work.pupil.network, known_losses(work)
    plan = Plan(
        steps=work.steps,
        tokens=work.steps * work.batch * work.settings.data.context,
        weights=sum(weight.numel() for weight in network.parameters()),
        learning=sum(weight.numel() for weight in work.learner.learning().values()),
        seconds=_guess(seconds * time_factor, max(SPREAD, 2 * deviation, time_spread)),
        memory_bytes=_guess(found.peak_bytes * memory_factor, max(SPREAD / 2, memory_spread)),
        disk_bytes=disk,
        loss=_guess(*middle(losses)) if losses else None,
        free_memory_bytes=allowed_memory().available_bytes + resident_bytes(),
        free_disk_bytes=shutil.disk_usage(existing(work.run)).free,
    )
    return replace(plan, advice=advice(plan, work))


def advice(plan: Plan, work: Work) -> tuple[str, ...]:
    """What makes a run smaller, most effective first."""
    if plan.fits:
        return ()
    found = []
    if plan.memory_bytes.value > plan.free_memory_bytes:
        if work.rows > 1:
            found.append(f"train.rows={max(1, work.rows // 2)}: fewer rows per pass, the same result")
        if work.settings.adapter is None and work.settings.model.use:
            found.append('adapter.use="lora": learn an addition instead of all weights')
        if not work.settings.model.is_checkpointed:
            found.append("model.is_checkpointed=true: compute activations again instead of keeping them")
        found.append(f"data.context={work.settings.data.context // 2}: shorter rows")
    if plan.disk_bytes > plan.free_disk_bytes:
        found.append("train.keep=1: fewer checkpoints, or another disk with out=…")
    return tuple(found)


def plain(plan: Plan) -> dict[str, Any]:
    """The plan as JSON takes it."""
    return {**asdict(plan), "fits": plan.fits}


def write(run: Path, plan: Plan) -> None:
    """Keep a plan in the run's folder, for the end of the run."""
    run.mkdir(parents=True, exist_ok=True)
    with replacing(run / NAME) as sink:
        sink.write(json.dumps({"predicted": plain(plan)}, indent=1).encode())


def read(run: Path) -> dict[str, Any] | None:
    """The plan of a run, and what it came to if it is over; None without one."""
    try:
        found = json.loads((run / NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "predicted" in found else None


def hold(work: Work, seconds: float, loss: float | None) -> dict[str, dict[str, float]] | None:
    """At the end of a run: predicted beside actual, written into its plan and into the machine's calibration.

    None if there was no plan, or one for another number of steps.
    """
    if loss is not None:
        remember(work, loss)
    kept = read(work.run)
    if kept is None or kept["predicted"]["steps"] != work.steps:
        return None
    actual = {"seconds": seconds, "memory_bytes": float(peak_bytes())} | ({} if loss is None else {"loss": loss})
    found = {
        name: {"predicted": kept["predicted"][name]["value"], "actual": value}
        for name, value in actual.items()
        if kept["predicted"].get(name)
    }
    with replacing(work.run / NAME) as sink:
        sink.write(json.dumps({**kept, "actual": actual}, indent=1).encode())
    line = {"kind": _kind(work), **{name: one["actual"] / one["predicted"] for name, one in found.items()}}
    path = home() / CALIBRATION
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as sink:
        sink.write(json.dumps(line) + "\n")
    return found


def _correction(name: str, work: Work) -> tuple[float, float]:
    """The median of actual over predicted of earlier runs of this kind, and how far they scatter."""
    try:
        lines = [json.loads(line) for line in (home() / CALIBRATION).read_text("utf-8").splitlines()]
    except (OSError, ValueError):
        return 1.0, 0.0
    ratios = [line[name] for line in lines if line.get("kind") == _kind(work) and name in line][-REMEMBERED:]
    if len(ratios) < 2:
        return (ratios[0] if ratios else 1.0), 0.0
    return statistics.median(ratios), _scatter(ratios)


def _scatter(ratios: Sequence[float]) -> float:
    middle = statistics.median(ratios)
    return 1.5 * statistics.median(abs(ratio - middle) for ratio in ratios) / middle


def _kind(work: Work) -> str:
    """Runs that are wrong in the same way."""
    how = work.settings.adapter.use if work.settings.adapter else "full"
    return f"{type(work.settings.objective).__module__.rpartition('.')[2]} {how}"


def _guess(value: float, spread: float) -> Guess:
    return Guess(value, value * (1 - spread), value * (1 + spread))


def peak_bytes() -> int:
    """Most memory of this process that was resident at once."""
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def resident_bytes() -> int:
    """Memory of this process that is resident now."""
    import psutil

    return psutil.Process().memory_info().rss


def existing(path: Path) -> Path:
    """The nearest folder above that is there."""
    path = path.absolute()
    return path if path.exists() else existing(path.parent)
