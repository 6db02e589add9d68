"""Weights rounded in groups: float32 in, codes with a scale and maybe a minimum for each group out.

To the nearest: a group's largest magnitude is the largest code, or its least and its greatest weight are the ends. The
scales are rounded before the codes are chosen, as float16 relative to the row's largest, so that codes fit the scales
that will be used.
"""

from typing import NamedTuple

import numpy as np

GROUPED_FORM = np.float16


class Grouped(NamedTuple):
    """weight = scale of row × (scale of group × code + minimum of group)."""

    codes: np.ndarray
    """(outputs, inputs): int8 around 0 for eight bits, uint8 from 0 to 15 for four."""
    rows: np.ndarray
    """(outputs,), float32: a power of two, so that nothing is lost by it."""
    scales: np.ndarray
    """(outputs, groups), float16."""
    minimums: np.ndarray | None
    """(outputs, groups), float16; None: a code of four bits stands 8 higher."""


def to_halves(scales: np.ndarray, minimums: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Scales (outputs, groups) and minimums as float16 times a power of two for each row.

    A float16 comes back as it is, unless it is 16,000 times smaller than the largest of its row.
    """
    most = np.abs(scales).max(1) if minimums is None else np.maximum(np.abs(scales), np.abs(minimums)).max(1)
    is_sound = np.isfinite(most)
    _, power = np.frexp(np.where(is_sound, most, 0))
    rows = np.where(is_sound, np.ldexp(np.float32(1), np.maximum(power, -125)), np.nan).astype(np.float32)
    if is_sound.all():  # nearly always, and in a fifth of the time
        return rows, _halves(scales, rows), None if minimums is None else _halves(minimums, rows)
    with np.errstate(invalid="ignore", over="ignore"):
        found = [
            None if of is None else np.nan_to_num(of / rows[:, None], nan=0, posinf=0, neginf=0).astype(GROUPED_FORM)
            for of in (scales, minimums)
        ]
    assert found[0] is not None
    return rows, found[0], found[1]


def _halves(of: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return (of / rows[:, None]).astype(GROUPED_FORM)


def in_groups(weight: np.ndarray, bits: int, group: int, has_minimum: bool) -> Grouped:
    """Weights (outputs, inputs) float32, to the nearest; the last group may be shorter."""
    outputs, inputs = weight.shape
    count = -(-inputs // group)
    filled = np.zeros((outputs, count * group), np.float32)
    filled[:, :inputs] = weight
    if inputs % group and has_minimum:
        filled[:, inputs:] = weight[:, -1:]
    parts = filled.reshape(outputs, count, group)
    if has_minimum:
        low, high = np.minimum(_most(np.minimum, parts), 0), np.maximum(_most(np.maximum, parts), 0)
        rows, scales, minimums = to_halves((high - low) / np.float32(15), low)
        assert minimums is not None
        codes = _codes(parts - (minimums * rows[:, None])[..., None], scales * rows[:, None], 0, 15)
    else:
        largest = 127 if bits == 8 else 7
        rows, scales, minimums = to_halves(_most(np.maximum, np.abs(parts)) / np.float32(largest), None)
        codes = _codes(parts, scales * rows[:, None], -largest, largest)
        codes = codes if bits == 8 else codes + 8
    kind = np.int8 if bits == 8 else np.uint8
    return Grouped(codes.reshape(outputs, -1)[:, :inputs].astype(kind), rows, scales, minimums)


def _most(of: np.ufunc, parts: np.ndarray) -> np.ndarray:
    """Of each group the least or the greatest; halves at once, where numpy's own goes number by number."""
    while parts.shape[2] % 2 == 0:
        half = parts.shape[2] // 2
        parts = of(parts[..., :half], parts[..., half:])
    return of.reduce(parts, 2)


def _codes(parts: np.ndarray, scales: np.ndarray, low: int, high: int) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        inverse = np.where(scales > 0, np.float32(1) / scales, 0)
        found = parts * inverse[..., None]
    if not np.isfinite(found).all():
        found = np.nan_to_num(found, copy=False)
    return np.clip(np.rint(found, out=found), low, high, out=found)
