"""How many threads to train with: all cores, unless a trial shows that fewer are faster.

Threads meet at the end of every operation. Where other programs take one of two cores for a moment, both wait; a small
model has three hundred such meetings a step. Beside other work two threads were five times slower than one
(docs/LOG.md).
"""

import os
import time

import torch

from hanlin.core.machine import allowed_cores
from hanlin.data.batch import Batch
from hanlin.train.rows import moved, part
from hanlin.train.work import Work

BUSY = 0.5
"""Programs that want to run, per core, beside ourselves: more is a machine that is shared."""
SMALL_WEIGHTS = 5_000_000
"""Smaller models may not fill several cores even where nobody else is."""
TURNS = 4
LEAST_GAIN = 1.1
"""Fewer threads have to be so many times faster."""


def choose_threads(work: Work, before: int = 0) -> str:
    """Set torch's threads for this run; what was chosen and why, or "" for all cores without a trial.

    Args:
        before: those of a run that is resumed: the same give the same bits.
    """
    told = _chosen(work, before)
    work.identity = {**work.identity, "threads": torch.get_num_threads()}
    return told


def _chosen(work: Work, before: int) -> str:
    cores = allowed_cores().count
    wish = work.settings.train.threads
    torch.set_num_threads(wish or before or cores)
    if before and not wish:
        return ""
    if wish or cores == 1 or work.device.type != "cpu" or work.crew.count > 1:
        return f"{wish} threads, as asked" if wish else ""
    weights = sum(weight.numel() for weight in work.pupil.network.parameters())
    if weights >= SMALL_WEIGHTS and os.getloadavg()[0] < BUSY * cores:
        return ""
    batch = part(moved(next(work.stream.batches())[0], work.device), 0, 1 if weights >= SMALL_WEIGHTS else work.rows)
    seconds = {count: _seconds(work, batch, count) for count in (cores, 1)}
    fewer = seconds[cores] > LEAST_GAIN * seconds[1]
    torch.set_num_threads(1 if fewer else cores)
    if not fewer:
        return ""
    gain = seconds[cores] / seconds[1]
    return f"1 thread: {gain:.1f} times as fast here and now as {cores}, on which train.threads={cores} insists"


def _seconds(work: Work, batch: Batch, threads: int) -> float:
    """A pass through the layers and back: the median of a few, since it is the bad moments that count."""
    torch.set_num_threads(threads)
    found = []
    for _ in range(TURNS):
        began = time.perf_counter()
        x = work.pupil.network.trunk(batch.tokens, None, batch.documents)
        if x.requires_grad:  # not where only a head learns
            x.sum().backward()
        found.append(time.perf_counter() - began)
        work.optimiser.zero_grad()
    return sorted(found)[TURNS // 2]
