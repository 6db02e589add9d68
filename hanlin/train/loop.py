"""The loop: a `Work` in, one `Step` per update of the weights out. To stop is to stop iterating.

    for step in fit(work):
        run.log(step)

The same for every objective. A batch is dealt out to the processes by turns of rows, goes through in passes of
`work.rows`, and its losses are added and divided once, by what they weigh together: accumulation and processes change
nothing but the rounding.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hanlin.core.errors import DataError, RefusedError
from hanlin.data.batch import Batch
from hanlin.train import cost
from hanlin.train.objective import Objective
from hanlin.train.rows import dealt, graded, moved, part, positions
from hanlin.train.save import Saver
from hanlin.train.state import draw_at, seed_torch
from hanlin.train.step import Step, Validation
from hanlin.train.validate import sample, validate
from hanlin.train.work import Work

SETTLING = 20
"""Steps before the guard knows what a usual loss is."""
MEMORY = 0.9
"""How slowly the guard's running mean forgets."""
MOST_SETBACKS = 5
MOST_BLANK = 16
"""Batches one after the other in which nothing is graded: a few are passed over, so many are a mistake."""


def fit(work: Work, until: int | None = None) -> Iterator[Step]:
    """Train from where `work.state` stands to the last step (or `until`).

    Raises:
        RefusedError: the run diverges again and again.
        DataError: batch after batch has nothing to grade.
        CapacityError: a checkpoint does not fit on the disk; the earlier ones stand.
    """
    saver, setup = Saver(work), work.settings.train
    if work.state.step == 0:
        saver.save()
    batches = work.stream.batches(work.state.cursor)
    last, blank = min(work.steps, until or work.steps), 0
    while work.state.step < last and not is_over(work):
        began = time.perf_counter()
        batch, cursor = next(batches)
        waited = time.perf_counter() - began
        number = work.state.step + 1
        outcome = update(work, batch, number)
        seconds = time.perf_counter() - began
        if outcome is None:
            yield _set_back(work, saver, cursor, number)
            continue
        state, blank = work.state, 0 if outcome else blank + 1
        if blank > MOST_BLANK:
            what = f"step {number}: nothing is graded in {blank} batches of {batch.rows} rows"
            raise DataError(what, "look with --show 5")
        if blank:
            work.state = state.model_copy(update={"cursor": cursor})
            yield _untrained(state.step, f"a batch of {batch.rows} rows is passed over: nothing in it is graded")
            continue
        work.state = state.model_copy(
            update={
                "step": number,
                "cursor": cursor,
                "tokens": state.tokens + outcome["tokens"],
                "seconds": state.seconds + seconds,
                "mean_loss": _running(state.mean_loss, outcome["loss"]),
            }
        )
        share = outcome["operations"] / seconds / work.peak if work.peak else None
        step = Step(number=number, seconds=seconds, waiting_seconds=waited, peak_share=share, **outcome)
        if number == last or number % (setup.validate_every or max(1, work.steps // 10)) == 0:
            step = _looked_at(work, step)
        if is_over(work):
            step = replace(step, stop="steps" if number == work.steps else "patience")
        is_due = bool(step.stop) or number == last or work.state.best_step == number or saver.is_due(number)
        yield replace(step, is_saved=is_due)  # told first: what is saved must not be missing from what was told
        if is_due:
            saver.save()
        if step.stop:
            return


def is_over(work: Work) -> bool:
    """The last step is made, or validation has not improved for as long as patience lasts."""
    state, patience = work.state, work.settings.train.patience
    return state.step >= work.steps or 0 < patience <= state.worse


def update(work: Work, batch: Batch, number: int) -> dict[str, Any] | None:
    """One update of the weights; None, and nothing changed, if the loss is no number or far above the usual.

    Empty, and nothing changed, if nothing in the batch is graded.
    """
    objective, crew, pupil = work.settings.objective, work.crew, work.pupil
    seed_torch(work.settings.seed, number, crew.rank)
    draw = draw_at(work.settings.seed, number)
    batch = objective.corrupted(batch, pupil.tokenizer, draw)
    own = moved(dealt(batch, crew.rank, crew.count), work.device)
    pupil.network.eval()
    with torch.no_grad():
        own = _gathered(work, own, number)
    pupil.network.train()
    learning = list(work.learner.learning().values())
    sums: dict[str, float] = {"total": 0.0, "count": 0.0}
    operations, idle = 0.0, _idle_passes(work, own)
    for begin in range(0, own.rows, work.rows):
        some = part(own, begin, begin + work.rows)
        tally = objective.loss(pupil, some)
        if tally.total.requires_grad:
            tally.total.backward()
        _add(sums, {"total": float(tally.total.detach()), "count": tally.count, **tally.figures})
        operations += cost.of_batch(pupil.network, some)
    for _ in range(idle):
        (objective.loss(pupil, part(own, 0, 1)).total * 0.0).backward()
    sums = crew.added({**sums, "rows": own.rows, "tokens": positions(own), "graded": graded(own), "op": operations})
    if not sums["count"]:
        work.learner.zero_grad()
        return {}
    loss = sums["total"] / sums["count"]
    if _is_spike(work, loss):
        work.learner.zero_grad()
        return None
    if work.shards is None:
        crew.add_gradients(learning)
    else:
        work.shards.take_gradients()
    norm = _move(work, number, sums["count"])
    if not math.isfinite(norm):
        return None
    own_figures = {name: value / sums["count"] for name, value in sums.items() if name not in _COUNTS}
    return {
        "loss": loss,
        "rate": _rate(work, number),
        "gradient_norm": norm,
        "rows": int(sums["rows"]),
        "tokens": int(sums["tokens"]),
        "graded": int(sums["graded"]),
        "operations": sums["op"],
        "figures": objective.concluded(own_figures),
    }


def _gathered(work: Work, own: Batch, number: int) -> Batch:
    """The rows with what only the model can add."""
    objective, draw = work.settings.objective, draw_at(work.settings.seed, number, 1 + work.crew.rank)
    if type(objective).gathered is Objective.gathered:
        return own
    with work.whole():  # processes generate for as long as each needs to
        own = objective.gathered(work.pupil, own, draw)
    return objective.agreed(own, work.crew.added)


def _idle_passes(work: Work, own: Batch) -> int:
    """Where the weights are divided all processes make as many passes: those here that are to count for nothing."""
    if work.shards is None:
        return 0
    passes = math.ceil(own.rows / work.rows)
    return max(work.crew.told(passes)) - passes


_COUNTS = frozenset({"total", "count", "rows", "tokens", "graded", "op"})


def _move(work: Work, number: int, count: float) -> float:
    """Divide the gradients, clip them, take the optimiser's step; returns the norm before clipping."""
    setup = work.settings.train
    rate = _rate(work, number)
    gradients = [p.grad for group in work.optimiser.param_groups for p in group["params"] if p.grad is not None]
    clipped = [
        p.grad
        for group in work.optimiser.param_groups
        if group.get("is_clipped", True)
        for p in group["params"]
        if p.grad is not None
    ]
    norm = _norm(work, gradients) / count
    if not math.isfinite(norm):
        work.optimiser.zero_grad()
        return norm
    _scale(gradients, 1 / count)
    if setup.clip and clipped:
        part = _norm(work, clipped)
        if part > setup.clip:
            _scale(clipped, setup.clip / part)
    for group in work.optimiser.param_groups:
        group["lr"] = rate * group["scale"]
    work.optimiser.step()
    work.optimiser.zero_grad()
    if work.mean is not None:
        work.mean.add(work.learner)
    return norm


def _norm(work: Work, gradients: list[Tensor]) -> float:
    """Of all of them as one vector."""
    norms = torch._foreach_norm(gradients)  # pyright: ignore[reportPrivateImportUsage]
    norm = float(torch.linalg.vector_norm(torch.stack(norms)))
    return work.shards.norm(norm) if work.shards else norm


def _scale(gradients: list[Tensor], factor: float) -> None:
    torch._foreach_mul_(gradients, factor)  # pyright: ignore[reportPrivateImportUsage]


def _rate(work: Work, number: int) -> float:
    return work.rate * work.schedule.factor(number, work.steps) * work.state.rate_factor


def _looked_at(work: Work, step: Step) -> Step:
    """The step with a validation and a sample, the state with what they say."""
    setup, state = work.settings.train, work.state
    found: Validation | None = None
    if work.validation is not None:
        found = validate(work)
        is_best = state.best_loss is None or found.loss < state.best_loss
        found = replace(found, is_best=is_best)
        update = (
            {"best_loss": found.loss, "best_step": step.number, "worse": 0} if is_best else {"worse": state.worse + 1}
        )
        work.state = state.model_copy(update=update)
    is_due = setup.sample_every == 0 or step.number % setup.sample_every == 0
    return replace(step, validation=found, sample=sample(work) if is_due else None)


def _is_spike(work: Work, loss: float) -> bool:
    mean = work.state.mean_loss
    if not math.isfinite(loss):
        return True
    return mean is not None and work.state.step > SETTLING and loss > work.settings.train.spike * abs(mean) + 1


def _set_back(work: Work, saver: Saver, cursor: Any, number: int) -> Step:
    """Go back to the last checkpoint, skip the batch that did it, and go on at half the rate."""
    state = work.state
    if state.setbacks >= MOST_SETBACKS:
        raise RefusedError(
            f"the run diverged {state.setbacks + 1} times, the last time at step {number}",
            f"lower train.lr, which is {work.rate:g}, or lengthen the warm-up",
        )
    back = saver.restore()
    work.state = back.model_copy(
        update={
            "cursor": cursor,
            "rate_factor": state.rate_factor / 2,
            "setbacks": state.setbacks + 1,
            "seconds": state.seconds,
        }
    )
    told = f"at {state.rate_factor / 2:g} of the rate, without this batch"
    note = f"step {number} diverged: back to step {back.step}, {told}"
    return _untrained(back.step, note)


def _untrained(number: int, note: str) -> Step:
    """What is told where no step was made."""
    return Step(number, math.nan, 0.0, math.nan, 0, 0, 0, 0.0, 0.0, 0.0, notes=(note,))


def _running(mean: float | None, loss: float) -> float:
    return loss if mean is None else MEMORY * mean + (1 - MEMORY) * loss


def _add(sums: dict[str, float], more: Mapping[str, float]) -> None:
    for name, value in more.items():
        sums[name] = sums.get(name, 0.0) + float(value)
