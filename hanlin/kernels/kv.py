"""Keys and values of all layers in blocks of 32 positions, so that sequences can share their beginnings."""

import ctypes
from typing import ClassVar

import numpy as np

from hanlin.kernels.library import library

STORES = ("float32", "bfloat16", "int8")


class _Cache(ctypes.Structure):
    """native/plan.h, Cache."""

    _fields_ = (
        ("place", ctypes.c_void_p),
        ("head_width", ctypes.c_int64),
        ("kv_heads", ctypes.c_int64),
        ("layers", ctypes.c_int64),
        ("store", ctypes.c_int32),
        ("blocks", ctypes.c_int32),
    )


class KVBlocks:
    """Memory of `count` blocks; who has which is for others to know."""

    SIZE: ClassVar[int] = 32
    """Positions of a block."""

    def __init__(self, count: int, layers: int, kv_heads: int, head_width: int, store: str = "float32") -> None:
        """`store` is what numbers are kept as: one of `STORES`; bytes have a scale for each position and head."""
        self.count, self.store = count, store
        cache = _Cache(None, head_width, kv_heads, layers, STORES.index(store), count)
        self.block_bytes = int(library().hanlin_block_bytes(ctypes.byref(cache)))
        self.memory = np.zeros((count, self.block_bytes), np.uint8)  # not touched before it is used
        cache.place = self.memory.ctypes.data
        self.native = ctypes.pointer(cache)

    def copy(self, source: int, to: int) -> None:
        """All of one block into another."""
        self.memory[to] = self.memory[source]
