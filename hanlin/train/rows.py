"""Parts of a batch: rows by turns for each process, rows for one pass, moved to the device."""

from collections.abc import Callable
from dataclasses import fields, replace

import torch
from torch import Tensor

from hanlin.data.batch import Batch


def dealt(batch: Batch, rank: int, count: int) -> Batch:
    """The rows of one process among several: every `count`-th."""
    return batch if count == 1 else _each(batch, lambda value: value[rank::count])


def part(batch: Batch, begin: int, end: int) -> Batch:
    """Rows from `begin` to before `end`."""
    return batch if begin == 0 and end >= batch.rows else _each(batch, lambda value: value[begin:end])


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device."""
    if device.type == "cpu":
        return batch
    return _each(batch, lambda value: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value)


def positions(batch: Batch) -> int:
    """Tokens that are read, padding included."""
    return batch.tokens.numel() + (positions(batch.rejected) if batch.rejected else 0)


def graded(batch: Batch) -> int:
    """Positions that count."""
    return int(batch.weights.count_nonzero()) + (graded(batch.rejected) if batch.rejected else 0)


def _each(batch: Batch, change: Callable[[Tensor | tuple], Tensor | tuple]) -> Batch:
    """The batch with `change` applied to each of its tensors and tuples."""

    def changed(value: object) -> object:
        if isinstance(value, Batch):
            return _each(value, change)
        return change(value) if isinstance(value, Tensor | tuple) else value

    return replace(batch, **{field.name: changed(getattr(batch, field.name)) for field in fields(batch)})
