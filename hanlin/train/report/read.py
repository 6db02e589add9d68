"""metrics.jsonl and its neighbours in a run folder in; `Step`s, settings and facts out.

The last line may be half a line: the run was killed, or is writing it. Anything else that is wrong is an error with its
line. A run that went back to a checkpoint has steps twice: what came later holds.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from hanlin.core.errors import DataError, shown
from hanlin.train.report.folder import objective_name, run_settings
from hanlin.train.step import Step, Validation

METRICS = "metrics.jsonl"
AGAIN = "remove that line, or train again into another folder"
NUMBERS = ("loss", "rate", "gradient_norm", "seconds", "waiting_seconds", "operations")
"""JSON has no nan: it is written as null."""
QUIET_SECONDS = 120
"""A run that wrote nothing for so long, or for ten steps, has stopped."""

Status = Literal["finished", "running", "stopped", "empty"]
_STEP = TypeAdapter(Step)


@dataclass(frozen=True)
class Told:
    """A note of a run, and after which step it was said."""

    step: int
    text: str


@dataclass(frozen=True)
class Reading:
    """A run as its folder tells it."""

    run: Path
    settings: Mapping[str, Any]
    """run.toml."""
    steps: tuple[Step, ...]
    """Every step once, in order; those before a setback are left out."""
    notes: tuple[Told, ...]
    """All that was said, of steps before a setback too."""
    status: Status
    changed: float
    """When metrics.jsonl (else run.toml) was last written, in seconds since 1970."""
    is_cut: bool = False
    """The last line is half a line."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """plan.json, if there is one."""
    events: tuple[Mapping[str, Any], ...] = ()
    """log.jsonl."""

    @property
    def name(self) -> str:
        """What the run is called."""
        return str(self.settings.get("name") or self.run.name)

    @property
    def objective(self) -> str:
        """What it learns."""
        return objective_name(self.settings)

    @property
    def last(self) -> Step | None:
        """The last step."""
        return self.steps[-1] if self.steps else None

    @property
    def validations(self) -> tuple[tuple[int, Validation], ...]:
        """(step, validation) of each."""
        return tuple((step.number, step.validation) for step in self.steps if step.validation)

    @property
    def best(self) -> tuple[int, Validation] | None:
        """The validation of the lowest loss, and its step."""
        real = [it for it in self.validations if math.isfinite(it[1].loss)]
        return min(real, key=lambda it: it[1].loss) if real else None

    @property
    def seconds(self) -> float:
        """Of training, all steps together."""
        return sum((step.seconds for step in self.steps), 0.0)

    @property
    def waiting_share(self) -> float:
        """Of the time, spent waiting for data."""
        waited = sum(step.waiting_seconds for step in self.steps if math.isfinite(step.waiting_seconds))
        return waited / self.seconds if self.seconds else 0.0

    @property
    def peak_share(self) -> float | None:
        """MFU over the whole run; None where the machine's peak was not measured."""
        known = [step for step in self.steps if step.peak_share]
        done = sum(step.operations for step in known)
        possible = sum(step.operations / step.peak_share for step in known if step.peak_share)
        return done / possible if possible else None

    @property
    def tokens_per_second(self) -> float:
        """Over the whole run."""
        return sum(step.tokens for step in self.steps) / self.seconds if self.seconds else math.nan


def read(run: Path) -> Reading:
    """All a run folder says.

    Raises:
        StoreError: it is no run folder.
        DataError: a file in it is damaged; metrics.jsonl with the line.
    """
    settings = run_settings(run)
    path = run / METRICS
    lines, is_cut = _lines(path)
    read_steps = [_step(value, path, number) for number, value in lines]
    steps, notes = _untangled(read_steps)
    changed = (path if path.is_file() else run / "run.toml").stat().st_mtime
    return Reading(
        run=run,
        settings=settings,
        steps=steps,
        notes=notes,
        status=_status(run, steps, changed),
        changed=changed,
        is_cut=is_cut,
        plan=_plan(run / "plan.json"),
        events=tuple(value for _, value in _lines(run / "log.jsonl")[0]),
    )


def as_object(reading: Reading) -> dict[str, Any]:
    """The run at a glance, as plain JSON."""
    last, best = reading.last, reading.best
    return {
        "name": reading.name,
        "folder": str(reading.run),
        "objective": reading.objective,
        "status": reading.status,
        "steps": last.number if last else 0,
        "loss": _number(last.loss) if last else None,
        "validation_loss": _number(best[1].loss) if best else None,
        "bits_per_byte": best[1].bits_per_byte if best else None,
        "figures": dict(best[1].figures) if best else {},
        "best_step": best[0] if best else None,
        "tokens": sum(step.tokens for step in reading.steps),
        "seconds": round(reading.seconds, 3),
        "tokens_per_second": _number(round(reading.tokens_per_second, 1)),
        "waiting_share": round(reading.waiting_share, 4),
        "peak_share": None if reading.peak_share is None else round(reading.peak_share, 4),
        "stop": last.stop if last else None,
        "changed": reading.changed,
        "notes": len(reading.notes),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _lines(path: Path) -> tuple[list[tuple[int, dict[str, Any]]], bool]:
    """(line number, table) of each line, and whether the last one is cut."""
    if not path.is_file():
        return [], False
    try:
        raw = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "check its permissions") from None
    found = []
    for number, line in enumerate(raw, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(raw):  # no line break after it: it was never finished
                return found, True
            raise DataError(f"{path}, line {number}: no JSON: {error}", AGAIN) from None
        if not isinstance(value, dict):
            raise DataError(f"{path}, line {number}: {shown(value)} is no table", AGAIN)
        found.append((number, value))
    return found, False


def _step(value: Mapping[str, Any], path: Path, number: int) -> Step:
    filled = {**value, **{name: math.nan for name in NUMBERS if value.get(name, 0) is None}}
    inner = filled.get("validation")
    if isinstance(inner, dict) and inner.get("loss", 0) is None:
        filled["validation"] = {**inner, "loss": math.nan}
    try:
        return _STEP.validate_python(filled)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = f"{path}, line {number}: {where} {shown(first['input'])}: {first['msg'][:1].lower()}{first['msg'][1:]}"
        raise DataError(what, AGAIN) from None


def _untangled(read_steps: list[Step]) -> tuple[tuple[Step, ...], tuple[Told, ...]]:
    """Each step once: one that has the number of an earlier one, or a setback, takes the place of what it repeats."""
    kept: list[Step] = []
    notes: list[Told] = []
    for step in read_steps:
        notes += [Told(step.number, note) for note in step.notes]
        is_setback = step.rows == 0
        while kept and kept[-1].number >= step.number + is_setback:
            kept.pop()
        if not is_setback:
            kept.append(step)
    return tuple(kept), tuple(notes)


def _status(run: Path, steps: tuple[Step, ...], changed: float) -> Status:
    if (steps and steps[-1].stop) or (run / "model").is_dir():
        return "finished"
    usual = sorted(step.seconds for step in steps)[len(steps) // 2] if steps else 0.0
    if time.time() - changed < max(QUIET_SECONDS, 10 * usual):
        return "running"
    return "stopped" if steps else "empty"


def _plan(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged: {error}", "remove it; `hanlin plan` makes it again") from None
    if not isinstance(found, dict):
        raise DataError(f"{path} holds {shown(found)}, not a table", "remove it; `hanlin plan` makes it again")
    return found
