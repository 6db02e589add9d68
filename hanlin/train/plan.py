"""What a run will cost, before it: a trial of a few real steps in; time, memory, disk and loss with intervals out.

    seconds = start + steps × step + validations × validation + samples × sample + checkpoints × checkpoint + end

A trial trains for real on the run's own rows, for at most `TRIAL_SECONDS`, and throws the weights away: the work is of
no further use. What earlier runs on this machine took beside what was predicted for them corrects the next prediction
(`calibration.jsonl` in the user's own folder of Hanlin).
"""

import json
import math
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from hanlin.core.home import home
from hanlin.core.machine import allowed_memory
from hanlin.core.run import replacing
from hanlin.train import loop
from hanlin.train.known import known_losses, middle, recipe_of, remember
from hanlin.train.memory import smaller
from hanlin.train.rows import positions
from hanlin.train.save import EVERY_SECONDS, Saver
from hanlin.train.settings import RunFile
from hanlin.train.validate import sample, validate
from hanlin.train.work import Work

NAME = "plan.json"
CALIBRATION = "calibration.jsonl"
TRIAL_SECONDS = 20.0
LEAST_STEPS, MOST_STEPS = 3, 30
LOOKED = 64
"""Batches whose sizes are looked at: the widest takes the most memory, the usual one the usual time."""
END_SECONDS = 2.0
"""For drawing the report."""
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
    """Of each, had it as many positions as a usual one; the first (which warms up) is left out."""
    start_seconds: float
    """From the beginning of the process to the first step."""
    validation_seconds: float
    sample_seconds: float
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
    """Of one worker."""
    disk_bytes: int
    loss: Guess | None
    """Of the last validation; None where no run like this is known."""
    free_memory_bytes: int
    free_disk_bytes: int
    factors: Mapping[str, float] = field(default_factory=dict)
    """What earlier runs corrected `seconds` and `memory_bytes` by."""
    advice: tuple[str, ...] = ()
    """What to change if it does not fit."""
    workers: int = 1
    """Processes of this machine that share the work."""

    @property
    def fits(self) -> bool:
        """Memory and disk are enough."""
        return self.is_roomy and self.disk_bytes <= self.free_disk_bytes

    @property
    def is_roomy(self) -> bool:
        """Memory is enough."""
        return self.memory_bytes.value * self.workers <= self.free_memory_bytes


def trial(work: Work, start_seconds: float, most_seconds: float = TRIAL_SECONDS) -> Trial:
    """Train a few steps and throw them away; the run's folder is not touched.

    Args:
        start_seconds: how long preparing took.
        most_seconds: of steps; at least `LEAST_STEPS` are made.
    """
    forget_peak()
    with tempfile.TemporaryDirectory(prefix="hanlin-plan-") as folder:
        scratch = replace(work, run=Path(folder))
        at = time.perf_counter()
        looked = [batch for batch, _ in islice(scratch.stream.batches(), LOOKED)]
        waiting = (time.perf_counter() - at) / LOOKED
        usual = statistics.fmean(positions(batch) for batch in looked)
        widest = max(looked, key=lambda batch: batch.tokens.shape[1])
        began, seconds = time.perf_counter(), []
        for number, batch in enumerate([looked[0], widest, *looked[1:MOST_STEPS]], 1):
            at = time.perf_counter()
            loop.update(scratch, batch, number)
            seconds.append(waiting + (time.perf_counter() - at) * usual / positions(batch))
            if number >= LEAST_STEPS and work.crew.led(lambda: time.perf_counter() - began > most_seconds):
                break
        times = [time.perf_counter()]
        if scratch.validation is not None:
            validate(scratch)
        times.append(time.perf_counter())
        sample(scratch)
        times.append(time.perf_counter())
        Saver(scratch).save()
        times.append(time.perf_counter())
        disk = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    validated, sampled, saved = (after - before for before, after in pairwise(times))
    return Trial(tuple(seconds[1:]), start_seconds, validated, sampled, saved, peak_bytes(), disk)


def run_seconds(found: Trial, settings: RunFile, steps: int) -> float:
    """What a run of so many steps takes, by its trial."""
    setup, step = settings.train, statistics.median(found.step_seconds)
    every = setup.validate_every or max(1, steps // 10)
    looks = {*range(every, steps + 1, every), steps}
    samples = sum(not setup.sample_every or number % setup.sample_every == 0 for number in looks)
    save_every = setup.save_every or max(1, round(EVERY_SECONDS / step))
    saves = {*range(save_every, steps + 1, save_every), steps} | (looks if found.validation_seconds > 1e-3 else set())
    return (
        found.start_seconds
        + steps * step
        + len(looks) * found.validation_seconds
        + samples * found.sample_seconds
        + (len(saves) + 2) * found.save_seconds  # before the first step, and the model itself
        + END_SECONDS
    )


def predicted(work: Work, found: Trial, by: str = "trial") -> Plan:
    """The plan that a trial gives; `by` names what kind of trial, since each errs in its own way."""
    setup = work.settings.train
    step = statistics.median(found.step_seconds)
    seconds = run_seconds(found, work.settings, work.steps)
    deviation = statistics.pstdev(found.step_seconds) / step / math.sqrt(len(found.step_seconds))
    time_factor, time_spread = correction("seconds", work, by)
    memory_factor, memory_spread = correction("memory_bytes", work, by)
    network, losses = work.pupil.network, known_losses(work)
    plan = Plan(
        steps=work.steps,
        tokens=work.steps * work.batch * work.settings.data.context,
        weights=sum(weight.numel() for weight in network.parameters()),
        learning=sum(weight.numel() for weight in work.learner.learning().values()),
        seconds=_guess(seconds * time_factor, max(SPREAD, 2 * deviation, time_spread)),
        memory_bytes=_guess(found.peak_bytes * memory_factor, max(SPREAD / 2, memory_spread)),
        disk_bytes=found.disk_bytes * (setup.keep + 2),
        loss=_guess(*middle(losses)) if losses else None,
        free_memory_bytes=allowed_memory().available_bytes + resident_bytes() * work.crew.count,
        free_disk_bytes=shutil.disk_usage(existing(work.run)).free,
        factors={"seconds": time_factor, "memory_bytes": memory_factor},
        workers=work.crew.count,
    )
    return replace(plan, advice=advice(plan, work))


def advice(plan: Plan, work: Work) -> tuple[str, ...]:
    """What makes a run smaller, most effective first."""
    if plan.fits:
        return ()
    found = [] if plan.is_roomy else smaller(work.settings, work.rows)
    if plan.disk_bytes > plan.free_disk_bytes:
        found.append("train.keep=1: fewer checkpoints, or another disk with out=…")
    return tuple(found)


def plain(plan: Plan) -> dict[str, Any]:
    """The plan as JSON takes it."""
    return {**asdict(plan), "fits": plan.fits}


def write(work: Work, plan: Plan, by: str = "trial", run: Path | None = None) -> None:
    """Keep a plan in the run's folder (or `run`), for the end of the run."""
    folder = run or work.run
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / NAME) as sink:
        kept = {"predicted": plain(plan), "by": by, "recipe": recipe_of(work), "workers": work.crew.count}
        sink.write(json.dumps(kept, indent=1).encode())


def read(run: Path) -> dict[str, Any] | None:
    """The plan of a run, and what it came to if it is over; None without one."""
    try:
        found = json.loads((run / NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "predicted" in found else None


def is_of(kept: Mapping[str, Any] | None, work: Work) -> bool:
    """Whether a plan that was read is of this run: the same recipe, for as long, on as many workers."""
    if kept is None or kept.get("workers", 1) != work.crew.count:
        return False
    return kept.get("recipe") == recipe_of(work) and kept["predicted"]["steps"] == work.steps


def hold(work: Work, seconds: float, loss: float | None) -> dict[str, dict[str, float]] | None:
    """At the end of a run: predicted beside actual, written into its plan and into the machine's calibration.

    None if there was no plan, or one of another run.
    """
    if loss is not None:
        remember(work, loss)
    kept = read(work.run)
    if kept is None or not is_of(kept, work):
        return None
    actual = {"seconds": seconds, "memory_bytes": float(peak_bytes())} | ({} if loss is None else {"loss": loss})
    found = {
        name: {"predicted": kept["predicted"][name]["value"], "actual": value}
        for name, value in actual.items()
        if kept["predicted"].get(name)
    }
    with replacing(work.run / NAME) as sink:
        sink.write(json.dumps({**kept, "actual": actual}, indent=1).encode())
    # Beside what was predicted before any correction: a correction that is right must not undo itself.
    factors = kept["predicted"]["factors"]
    ratios = {name: one["actual"] / one["predicted"] * factors.get(name, 1.0) for name, one in found.items()}
    path = home() / CALIBRATION
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as sink:
        sink.write(json.dumps({"kind": _kind(work, kept.get("by", "trial")), **ratios}) + "\n")
    return found


def correction(name: str, work: Work, by: str = "trial") -> tuple[float, float]:
    """The median of actual over predicted of earlier runs of this kind, and how far they scatter."""
    ratios = [line[name] for line in _remembered() if line.get("kind") == _kind(work, by) and name in line]
    if not ratios:
        return 1.0, 0.0
    return statistics.median(ratios[-REMEMBERED:]), _scatter(ratios[-REMEMBERED:])


def _remembered() -> Iterator[dict[str, Any]]:
    """What earlier runs came to; a line that was cut short is passed over."""
    try:
        lines = (home() / CALIBRATION).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        with suppress(ValueError):
            yield json.loads(line)


def _scatter(ratios: Sequence[float]) -> float:
    middle = statistics.median(ratios)
    return 1.5 * statistics.median(abs(ratio - middle) for ratio in ratios) / middle


def _kind(work: Work, by: str) -> str:
    """Runs that are wrong in the same way."""
    how = work.settings.adapter.use if work.settings.adapter else "full"
    together = f" on {work.crew.count} workers" if work.crew.count > 1 else ""
    return f"{type(work.settings.objective).__module__.rpartition('.')[2]} {how} by {by}{together}"


def _guess(value: float, spread: float) -> Guess:
    return Guess(value, value * (1 - spread), value * (1 + spread))


def peak_bytes() -> int:
    """Most memory of this process that was resident at once.

    Linux counts it from the start of the program in /proc; getrusage has that of the program that started it, too.
    """
    import resource

    status = Path("/proc/self/status")
    high = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.M) if status.is_file() else None
    if high:
        return int(high[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def forget_peak() -> None:
    """Count the peak anew, where the system can: the run finds the data encoded, which took memory here."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def resident_bytes() -> int:
    """Memory of this process that is resident now."""
    import psutil

    return psutil.Process().memory_info().rss


def existing(path: Path) -> Path:
    """The nearest folder above that is there."""
    path = path.absolute()
    return path if path.exists() else existing(path.parent)
