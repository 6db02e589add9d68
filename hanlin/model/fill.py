"""Weights of a model on disk, as float32 in arrays of numpy: parameters' names and arrays in, the same filled out."""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

from hanlin.model.opened import Opened

Arrays = Mapping[str, Float32[np.ndarray, "..."]]


def fill(it: Opened, made: Arrays, threads: int) -> None:
    """Fill arrays of parameters' shapes, by name."""
    if it.file is not None:
        fill_gguf(it, made, threads)
        return
    for name, out in made.items():
        for piece in it.pieces[name]:
            it.stored[piece.name].copy_to(out[piece.rows], is_turned=piece.is_turned)


def fill_gguf(it: Opened, made: Arrays, threads: int) -> None:
    """The same from a GGUF file."""
    file = it.file
    assert file is not None
    matrices = [(piece, made[ours][piece.rows]) for ours in made for piece in it.pieces[ours] if len(piece.shape) > 1]
    if matrices:
        file.fill([(piece.name, rows, piece.order) for piece, rows in matrices], threads)
    for ours, out in made.items():
        for piece in it.pieces[ours]:
            if len(piece.shape) == 1:
                stored = file.float32(piece.name)
                out[piece.rows] = (stored if piece.order is None else stored[piece.order]) - np.float32(piece.added)


def is_finite(weights: Float32[np.ndarray, "..."]) -> bool:
    """All are finite. One sum tells, at the speed of memory; only if it overflows is each one looked at."""
    with np.errstate(all="ignore"):
        return math.isfinite(np.add.reduce(weights.ravel())) or bool(np.isfinite(weights).all())
