"""torch.compile where it pays: a trial beside the plain pass, equal to it and faster, or left alone with one line."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from hanlin.data.batch import Batch
from hanlin.train.objective import Pupil
from hanlin.train.rows import moved, part
from hanlin.train.state import draw_at
from hanlin.train.work import Work

LEAST_GAIN = 1.05
"""How many times faster it has to be."""
LARGEST_GAP = 1e-3
"""Relative difference of the losses that rounding explains."""
WORTH_SECONDS = 1200
"""Shorter runs do not earn back what compiling costs, a minute or more."""
TURNS = 3


def compile_where_it_pays(work: Work) -> str:
    """Compile the pass through the layers if the settings ask for it; what was done, in a sentence; "" for nothing."""
    wish = work.settings.train.compile
    if wish == "off":
        return ""
    objective, seed = work.settings.objective, work.settings.seed
    batch = objective.corrupted(next(work.stream.batches())[0], work.pupil.tokenizer, draw_at(seed, 0))
    with torch.no_grad():
        batch = objective.gathered(work.pupil, moved(batch, work.device), draw_at(seed, 0, 1))
    batch = part(batch, 0, work.rows)
    plain_seconds, plain_loss = _measured(work, batch)
    whole = plain_seconds * work.steps * work.batch / work.rows
    if wish == "auto" and whole < WORTH_SECONDS:
        return f"not compiled: about {whole:,.0f} s of training would not earn it back"
    network = work.pupil.network
    plain = network.trunk
    network.trunk = _switch(plain, torch.compile(plain, dynamic=False))
    try:
        seconds, loss = _measured(work, batch)
    except Exception as error:  # the compiler may raise anything: no C++ compiler, an operation it does not know
        network.trunk = plain
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return f"not compiled: {reason[:160]}"
    gap = abs(loss - plain_loss) / max(abs(plain_loss), 1e-9)
    gain = plain_seconds / seconds
    if gap > LARGEST_GAP or (wish == "auto" and gain < LEAST_GAIN):
        network.trunk = plain
        why = f"its loss differs by {gap:.1e}" if gap > LARGEST_GAP else f"it is {gain:.2f} times as fast"
        return f"not compiled: {why}"
    return f"compiled: {gain:.2f} times as fast, the loss differs by {gap:.0e}"


def _switch(plain: Callable[..., Tensor], fast: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The compiled pass while learning, the plain one for samples and validation, whose shapes change."""

    def trunk(tokens: Tensor, cache: object = None, documents: Tensor | None = None) -> Tensor:
        is_learning = cache is None and torch.is_grad_enabled()
        return (fast if is_learning else plain)(tokens, cache, documents)

    return trunk


def _measured(work: Work, batch: Batch) -> tuple[float, float]:
    """Seconds of a pass forward and back, the best of a few, and its loss."""
    pupil: Pupil = work.pupil
    pupil.network.train()
    best, loss = float("inf"), 0.0
    for _ in range(TURNS):
        began = time.perf_counter()
        tally = work.settings.objective.loss(pupil, batch)
        tally.total.backward()
        best = min(best, time.perf_counter() - began)
        loss = float(tally.total.detach()) / tally.count
        work.optimiser.zero_grad()
    return best, loss
