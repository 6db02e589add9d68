"""Adapters beside a plan: what each adds to products, in floats; and which rows of a pass are whose.

The base's matrices stay as they are for all rows; a row's own additions are computed from its floats, not its bytes.
"""

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hanlin.kernels.arrays import NativeMatrix, Numbers, matter, place
from hanlin.kernels.library import library
from hanlin.kernels.packed import LANES


class Floats:
    """A matrix of float32, laid for the kernels."""

    bits = 32

    def __init__(self, weight: Numbers) -> None:
        """Of weights (outputs, inputs), of numpy or of torch."""
        source = matter(weight)
        self.outputs, self.inputs = source.rows, source.columns
        self.codes = np.empty((-(-self.outputs // LANES), self.inputs, LANES), np.float32)
        library().hanlin_lay_floats(source.place, source.stride, self.outputs, self.inputs, place(self.codes))
        native = NativeMatrix(place(self.codes), None, None, self.outputs, self.inputs, self.inputs, 32, 0, 1)
        self.native = ctypes.pointer(native)

    @property
    def bytes(self) -> int:
        """Memory it takes."""
        return self.codes.nbytes


class Low(NamedTuple):
    """What an adapter adds to some outputs of an op: B (A x)."""

    op: int
    """Its number in the plan."""
    begin: int
    """The first output, counted from the beginning of a row of the buffer that is written."""
    a: Floats
    b: Floats
    """With the scale in it."""


class _Low(ctypes.Structure):
    _fields_ = (("a", ctypes.c_void_p), ("b", ctypes.c_void_p), ("begin", ctypes.c_int64), ("next", ctypes.c_void_p))


class Lows:
    """All that one adapter adds to a plan of so many ops."""

    def __init__(self, lows: Sequence[Low], ops: int, content: bytes) -> None:
        """`content` is a hash of the adapter: what another one computed is not what this one computes."""
        self.lows, self.content = lows, content
        self.native = (ctypes.c_void_p * ops)()
        self._kept = []
        for low in lows:
            addresses = (ctypes.addressof(one.native.contents) for one in (low.a, low.b))
            self._kept.append(_Low(*addresses, low.begin, self.native[low.op]))
            self.native[low.op] = ctypes.addressof(self._kept[-1])

    @property
    def bytes(self) -> int:
        """Memory it takes."""
        return sum(low.a.bytes + low.b.bytes for low in self.lows)


class Adapted:
    """Whose the rows of a pass are."""

    def __init__(self, rows: int, whose: Sequence[int] = (), adapters: Sequence[Lows] = ()) -> None:
        """`whose`: of each row the number of its adapter, -1 for none; empty where no row has one.

        Raises:
            ValueError: a number is out of range.
        """
        self.whose = np.array(whose, np.int32) if adapters else None
        if self.whose is not None and (len(whose) != rows or not -1 <= min(whose) <= max(whose) < len(adapters)):
            raise ValueError(f"{len(whose)} rows of {rows} from {min(whose)} to {max(whose)}: {len(adapters)} adapters")
        self._kept = (adapters, (ctypes.c_void_p * len(adapters))(*(ctypes.addressof(one.native) for one in adapters)))

    @property
    def native(self) -> tuple[int | None, int | None]:
        """Numbers and adapters, for a batch."""
        return place(self.whose), None if self.whose is None else ctypes.addressof(self._kept[1])
