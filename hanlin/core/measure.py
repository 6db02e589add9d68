"""How fast this machine is: a kind of number in, multiplications per second out; and bytes read per second.

These two figures bound a language model: reading a prompt is bound by matrix products, writing an answer by how fast
the weights come from memory (the roofline: https://doi.org/10.1145/1498765.1498785).
"""

import time
from collections.abc import Callable
from typing import Literal

import torch

Kind = Literal["float32", "bfloat16", "int8"]
LONGEST_SECONDS = 0.3
"""A larger product that would take longer tells nothing new: this kind of number has no fast path here."""


def product_speed(kind: Kind, seconds: float = 0.25) -> float:
    """Operations per second (a multiplication and an addition are two) of square matrix products, the best seen.

    A kind that has no fast path on this processor is measured on small matrices only.
    """
    best = _product_speed(kind, 256, seconds / 5)
    for size in (1024, 2048):
        if 2 * size**3 / best < LONGEST_SECONDS:
            best = max(best, _product_speed(kind, size, seconds / 2))
    return best


def read_speed(size_bytes: int = 512 << 20, seconds: float = 0.4) -> float:
    """Bytes per second at which memory is read, the best seen, by multiplying a matrix of `size_bytes` by a vector."""
    width = 4096
    rows = max(1, size_bytes // (4 * width))
    matrix = torch.full((rows, width), 0.5)
    vector = torch.ones(width)
    return 4 * width * rows / _best(lambda: matrix @ vector, seconds)


def _product_speed(kind: Kind, size: int, seconds: float) -> float:
    if kind == "int8":
        left = torch.randint(-100, 100, (size, size), dtype=torch.int8)
        return 2 * size**3 / _best(lambda: torch.ops.aten._int_mm(left, left), seconds)
    left = torch.randn(size, size).to(getattr(torch, kind))
    return 2 * size**3 / _best(lambda: left @ left, seconds)


def _best(work: Callable[[], object], seconds: float) -> float:
    """The shortest of as many turns as fit into `seconds`, and of at least one after a turn that only warms up."""
    work()
    best, end = float("inf"), time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        work()
        now = time.perf_counter()
        best = min(best, now - start)
        if now >= end:
            return best
