"""A matrix packed for this machine, in eight bits: rows in, their products out.

    y = scale(x) · scale(w) · (codes(x) · codes(w))

Each output has a scale, and each row gets one as it comes: its largest magnitude is 127. The sums are whole numbers, so
a row's products are the same to the bit beside any others, on any number of threads and with any instructions.
"""

from typing import Any, NamedTuple

import numpy as np

from hanlin.kernels.library import library

LANES, QUAD = 16, 4
"""Outputs of a block, and inputs that lie together: see native/rows.h."""


class Rows(NamedTuple):
    """Rows in bytes."""

    codes: np.ndarray
    """(rows, inputs filled up to a multiple of 4), unsigned: 128 is zero."""
    scales: np.ndarray
    """Of each row, float32; no number where the row has something infinite or no number."""


class Matter(NamedTuple):
    """Where a matrix of float32 lies."""

    place: int
    rows: int
    columns: int
    stride: int


def matter(x: Any) -> Matter:
    """Of a numpy array or a torch tensor on the processor, float32, two axes, whose rows are without gaps."""
    if isinstance(x, np.ndarray):
        is_float, strides, place = x.dtype == np.float32, [step // 4 for step in x.strides], x.ctypes.data
    else:
        is_float, strides, place = str(x.dtype) == "torch.float32", x.stride(), x.data_ptr()
        assert x.device.type == "cpu", f"on {x.device}"
    assert is_float and len(x.shape) == 2, f"{x.dtype} {tuple(x.shape)}"
    assert strides[1] == 1 or x.shape[1] == 1, f"columns lie {strides[1]} apart"
    return Matter(place, x.shape[0], x.shape[1], strides[0] if x.shape[0] > 1 else x.shape[1])


class Packed:
    """A matrix of `outputs` × `inputs`: about a byte a weight."""

    def __init__(self, codes: np.ndarray, scales: np.ndarray, offsets: np.ndarray, outputs: int, inputs: int) -> None:
        """Of what the native library made: see `int8`."""
        self.codes, self.scales, self.offsets = codes, scales, offsets
        self.outputs, self.inputs = outputs, inputs

    @classmethod
    def int8(cls, weight: Any, *, is_transposed: bool = False) -> "Packed":
        """Of float32 weights, a row to each output; with `is_transposed` a column, and no copy is made of them."""
        source = matter(weight)
        outputs, inputs = (source.columns, source.rows) if is_transposed else (source.rows, source.columns)
        blocks = -(-outputs // LANES)
        codes = np.empty((blocks, -(-inputs // QUAD), LANES, QUAD), np.int8)
        scales, offsets = np.empty(blocks * LANES, np.float32), np.empty(blocks * LANES, np.int32)
        library().hanlin_pack(
            source.place, source.stride, is_transposed, outputs, inputs, *map(_place, (codes, scales, offsets))
        )
        return cls(codes, scales, offsets, outputs, inputs)

    @property
    def bytes(self) -> int:
        """Memory it takes."""
        return self.codes.nbytes + self.scales.nbytes + self.offsets.nbytes

    def __call__(self, x: Any, out: Any = None) -> Any:
        """The products of rows (N, inputs) with every output: (N, outputs), of the kind of x.

        Args:
            out: where to put them, if given.
        """
        return self.products(quantised(x), _like(x, self.outputs) if out is None else out)

    def products(self, rows: Rows, out: Any) -> Any:
        """The same of rows that are in bytes already."""
        assert rows.codes.shape[1] == self.codes.shape[1] * QUAD, f"rows of {rows.codes.shape[1]} inputs"
        into = matter(out)
        assert (into.rows, into.columns) == (len(rows.scales), self.outputs), f"{into} for {self.outputs} outputs"
        library().hanlin_multiply(
            *map(_place, (self.codes, self.scales, self.offsets)),
            self.outputs,
            self.inputs,
            *map(_place, rows),
            into.rows,
            into.place,
            into.stride,
        )
        return out

    def dense(self) -> np.ndarray:
        """The weights as they were rounded, float32, (outputs, inputs)."""
        codes = self.codes.transpose(0, 2, 1, 3).reshape(len(self.scales), -1)[: self.outputs, : self.inputs]
        return codes.astype(np.float32) * self.scales[: self.outputs, None]


def quantised(x: Any) -> Rows:
    """Rows (N, inputs) in bytes."""
    source = matter(x)
    rows = Rows(np.empty((source.rows, -(-source.columns // QUAD) * QUAD), np.uint8), np.empty(source.rows, np.float32))
    library().hanlin_quantise(source.place, source.stride, source.rows, source.columns, *map(_place, rows))
    return rows


def _place(array: np.ndarray) -> int:
    return array.ctypes.data


def _like(x: Any, columns: int) -> Any:
    if isinstance(x, np.ndarray):
        return np.empty((len(x), columns), np.float32)
    return x.new_empty((len(x), columns))
