"""A matrix packed for this machine, in eight or four bits: rows in, their products out.

    y = scale(x) · Σ over groups of  scale(group) · (codes(x) · codes(w)) + minimum(group) · Σ codes(x)   [+ bias]

Each output has a scale, or each group of its inputs has; each row gets one as it comes: its largest magnitude is 127.
Where rows have 16 bits, four times its mean magnitude is 127, and the few numbers beyond have a second byte: a row's
outliers do not make the rest of it coarse. The sums are whole numbers and groups follow one another, so a row's
products are the same to the bit beside any others, on any number of threads and with any instructions. A row or an
output with something infinite or no number in it has NaN for its products, and nothing else has.
"""

import ctypes
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import numpy as np

from hanlin.kernels.arrays import Array, Matter, NativeMatrix, NativeRows, Numbers, matter, place, vector
from hanlin.kernels.library import library
from hanlin.kernels.rounding import Grouped, in_groups, to_halves

LANES, QUAD, UNIT = 16, 4, 16
"""Outputs of a block, inputs that lie together, and what sizes are filled up to: see native/rows.h."""
MOST_INPUTS = 131_072
"""Of more, a sum of products might not fit in 32 bits."""
WEIGHTS = 1 << 20
"""Rounded at a time: what lies between floats and codes stays small."""


class Rows(NamedTuple):
    """Rows in bytes."""

    codes: np.ndarray
    """(rows, bytes of a number, inputs filled up to a multiple of 16), int8; a second byte counts 255 times."""
    scales: np.ndarray
    """Of each row, float32; no number where the row has something infinite or no number."""
    sums: np.ndarray
    """(codes / 16 + 1, rows, bytes), int32: of the first 0 codes of each row, of the first 16 of each, 32 …"""
    large: np.ndarray
    """(rows, 1 + codes / 4), uint16: how many fours of inputs have second bytes, and which of them."""


class Coded(NamedTuple):
    """Some outputs of a matrix in codes; see `Packed.of_codes`."""

    codes: np.ndarray
    """(outputs, inputs)."""
    scales: np.ndarray
    """(outputs, groups), float32."""
    minimums: np.ndarray | None = None
    """(outputs, groups), float32."""


def turned(x: Array) -> Array:
    """A matrix of float32 with its columns as rows, of the kind of x."""
    source = matter(x)
    out = _like(x, source.rows, rows=source.columns)
    library().hanlin_turn(source.place, source.stride, source.rows, source.columns, matter(out).place)
    return out


@dataclass(frozen=True, eq=False)
class Packed:
    """A matrix of `outputs` × `inputs`: about a byte a weight, or a little more than half of one."""

    codes: np.ndarray
    """(blocks of 16 outputs, blocks of inputs, 64), uint8."""
    scales: np.ndarray
    """Of each output, filled up to a multiple of 16, float32."""
    groups: np.ndarray | None
    """(blocks of 16 outputs, groups, 1 or 2, 16), float16: scales and minimums; None: one scale for an output."""
    outputs: int
    inputs: int
    group: int
    """Inputs of a group; all of them without groups."""
    bits: int
    row_bits: int = 8
    """Of the numbers that rows are rounded to, 8 or 16."""
    native: "ctypes._Pointer[NativeMatrix]" = field(init=False, repr=False)
    """The same for the native library."""

    def __post_init__(self) -> None:
        if not 0 < self.inputs <= MOST_INPUTS:
            raise ValueError(f"{self.inputs} inputs, not 1 to {MOST_INPUTS}")
        if self.row_bits not in (8, 16):
            raise ValueError(f"rows of {self.row_bits} bits, not of 8 or 16")
        native = NativeMatrix(
            place(self.codes),
            place(self.scales),
            place(self.groups),
            self.outputs,
            self.inputs,
            self.group,
            self.bits,
            int(self.groups is not None and self.groups.shape[2] == 2),
            self.row_bits // 8,
        )
        object.__setattr__(self, "native", ctypes.pointer(native))

    @classmethod
    def int8(cls, weight: Numbers, group: int | None = None, *, is_transposed: bool = False) -> "Packed":
        """Of float32 weights (outputs, inputs); with `is_transposed` (inputs, outputs), and no copy is made of them.

        Args:
            group: inputs that share a scale, a multiple of 16; by default an output has one.
        """
        source = matter(weight)
        if group is not None:
            dense = np.asarray(weight)
            return _rounded(dense.T if is_transposed else dense, 8, group, False)
        outputs, inputs = (source.columns, source.rows) if is_transposed else (source.rows, source.columns)
        codes, scales = _codes(outputs, inputs, 8), np.empty(-(-outputs // LANES) * LANES, np.float32)
        packed = cls(codes, scales, None, outputs, inputs, inputs, 8)
        packed.refill(weight, is_transposed=is_transposed)
        return packed

    def refill(self, weight: Numbers, *, is_transposed: bool = False) -> None:
        """Other float32 weights in the place of these: eight bits, a scale to each output, sizes as they are."""
        source = matter(weight)
        sizes = (source.columns, source.rows) if is_transposed else (source.rows, source.columns)
        assert self.bits == 8 and self.group == self.inputs and sizes == (self.outputs, self.inputs), sizes
        places = place(self.codes), place(self.scales)
        library().hanlin_pack(source.place, source.stride, is_transposed, *sizes, *places)

    @classmethod
    def int8_of(cls, pieces: Iterable[np.ndarray], outputs: int, inputs: int) -> "Packed":
        """As `int8`, of weights that come some outputs at a time, all but the last a multiple of 16.

        Raises:
            ValueError: sizes do not fit together.
        """
        codes, scales, end = _codes(outputs, inputs, 8), np.empty(-(-outputs // LANES) * LANES, np.float32), 0
        for piece in pieces:
            source, begin, end = matter(piece), end, end + len(piece)
            if begin % LANES or source.columns != inputs or end > outputs:
                raise ValueError(f"outputs {begin} to {end} of {source.columns} inputs: {outputs} × {inputs}")
            places = map(place, (codes[begin // LANES :], scales[begin:]))
            library().hanlin_pack(source.place, source.stride, False, source.rows, inputs, *places)
        if end != outputs:
            raise ValueError(f"{end} outputs, not {outputs}")
        return cls(codes, scales, None, outputs, inputs, inputs, 8)

    @classmethod
    def int4(cls, weight: Numbers, group: int = 32, *, has_minimum: bool = False) -> "Packed":
        """Of float32 weights (outputs, inputs), rounded to the nearest.

        Args:
            group: inputs that share a scale, a multiple of 16.
            has_minimum: a group reaches from its own least to its own greatest weight, not as far up as down.
        """
        matter(weight)
        return _rounded(np.asarray(weight), 4, group, has_minimum)

    @classmethod
    def of_codes(
        cls, codes: np.ndarray, scales: np.ndarray, minimums: np.ndarray | None = None, *, bits: int, group: int | None
    ) -> "Packed":
        """Of a matrix in codes already: weight = scale × code + minimum, or scale × (code - 8) in four bits without.

        Args:
            codes: (outputs, inputs); int8 for eight bits, uint8 from 0 to 15 for four.
            scales: (outputs, groups), or (outputs,) without groups, float32. With groups they are kept as float16
                times a power of two for each output.
            minimums: as scales, with groups only.
            bits: 8 or 4.
            group: inputs that share a scale, a multiple of 16; None: an output has one.

        Raises:
            ValueError: sizes or kinds do not fit together.
        """
        outputs, inputs = codes.shape
        if group is not None:
            all_ = [Coded(codes, scales, minimums)]
            return cls.of_pieces(all_, outputs, inputs, bits=bits, group=group, has_minimums=minimums is not None)
        if bits != 8 or codes.dtype != np.int8 or scales.shape != (outputs,) or minimums is not None:
            raise ValueError(f"{bits} bits in groups of None: {codes.dtype} {codes.shape}, scales {scales.shape}")
        kept = np.zeros(-(-outputs // LANES) * LANES, np.float32)
        kept[:outputs] = scales
        return cls(_laid(np.ascontiguousarray(codes), 8), kept, None, outputs, inputs, inputs, 8)

    @classmethod
    def of_pieces(
        cls, pieces: Iterable[Coded], outputs: int, inputs: int, *, bits: int, group: int, has_minimums: bool = False
    ) -> "Packed":
        """The same some outputs at a time, so that no more than these are in memory twice.

        Args:
            pieces: all but the last of a multiple of 16 outputs.

        Raises:
            ValueError: sizes or kinds do not fit together.
        """
        _sound(group)
        return _of_groups(
            (_grouped(one, inputs, bits, group) for one in pieces), outputs, inputs, bits, group, has_minimums
        )

    @property
    def bytes(self) -> int:
        """Memory it takes."""
        return sum(array.nbytes for array in (self.codes, self.scales, self.groups) if array is not None)

    def __call__(self, x: Array, out: Array | None = None, bias: Array | None = None) -> Array:
        """The products of rows (N, inputs) with every output: (N, outputs), of the kind of x.

        Args:
            x: float32, of numpy or of torch on the processor.
            out: where to put them, if given.
            bias: (outputs,), float32, added to each row.

        Raises:
            ValueError: sizes or kinds do not fit together.
        """
        source = matter(x)
        if source.columns != self.inputs:
            raise ValueError(f"rows of {source.columns} inputs for {self.inputs}")
        out = _like(x, self.outputs) if out is None else out
        into = self._checked(out, source.rows)
        library().hanlin_apply(
            self.native,
            source.place,
            source.stride,
            source.rows,
            into.place,
            into.stride,
            vector(bias, self.outputs),
        )
        return out

    def products(self, rows: Rows, out: Array, bias: Array | None = None) -> Array:
        """The same of rows that are in bytes already."""
        if rows.codes.shape[1:] != (self.row_bits // 8, -(-self.inputs // UNIT) * UNIT):
            wanted = f"{self.inputs} of {self.row_bits // 8}"
            raise ValueError(f"rows of {rows.codes.shape[2]} inputs of {rows.codes.shape[1]} bytes for {wanted}")
        into = self._checked(out, len(rows.scales))
        library().hanlin_multiply(
            self.native,
            ctypes.byref(_native(rows, self.inputs)),
            into.place,
            into.stride,
            vector(bias, self.outputs),
        )
        return out

    def _checked(self, out: Numbers, rows: int) -> Matter:
        into = matter(out)
        if (into.rows, into.columns) != (rows, self.outputs):
            raise ValueError(f"{into.rows} × {into.columns} for {rows} rows of {self.outputs} outputs")
        return into

    def dense(self) -> np.ndarray:
        """The weights as they were rounded, float32, (outputs, inputs)."""
        blocks = len(self.codes)
        quads = self.codes.reshape(blocks, -1, LANES, QUAD)
        if self.bits == 4:
            quads = np.stack([quads & 15, quads >> 4], 2).reshape(blocks, -1, LANES, QUAD)
        codes = quads.transpose(0, 2, 1, 3).reshape(blocks * LANES, -1)[: self.outputs, : self.inputs]
        if self.groups is None:
            return (codes.astype(np.float32) - 128) * self.scales[: self.outputs, None]
        zero = 128 if self.bits == 8 else 0 if self.groups.shape[2] == 2 else 8
        parts = self.groups.astype(np.float32).transpose(2, 0, 3, 1).reshape(self.groups.shape[2], blocks * LANES, -1)
        parts = np.repeat(parts, self.group, 2)[:, : self.outputs, : self.inputs]
        weights = (codes.astype(np.float32) - zero) * parts[0] + (parts[1] if len(parts) == 2 else 0)
        return weights * self.scales[: self.outputs, None]


def quantised(x: Numbers, bits: int = 8) -> Rows:
    """Rows (N, inputs) in bytes, for any number of matrices of as many inputs and `row_bits` of 8 or 16."""
    source = matter(x)
    wide, count = -(-source.columns // UNIT) * UNIT, bits // 8
    rows = Rows(
        np.empty((source.rows, count, wide), np.int8),
        np.empty(source.rows, np.float32),
        np.empty((wide // UNIT + 1, source.rows, count), np.int32),
        np.zeros((source.rows, 1 + wide // QUAD), np.uint16),
    )
    library().hanlin_quantise(source.place, source.stride, ctypes.byref(_native(rows, source.columns)))
    return rows


def _native(rows: Rows, inputs: int) -> NativeRows:
    return NativeRows(*map(place, rows), len(rows.scales), inputs, rows.codes.shape[1])


def _sound(group: int) -> int:
    if group < UNIT or group % UNIT:
        raise ValueError(f"groups of {group} inputs, not of a multiple of {UNIT}")
    return group


def _codes(outputs: int, inputs: int, bits: int) -> np.ndarray:
    blocks, wide = -(-outputs // LANES), -(-inputs // UNIT) * UNIT
    return np.empty((blocks, wide * bits // (8 * QUAD), LANES * QUAD), np.uint8)


def _laid(codes: np.ndarray, bits: int) -> np.ndarray:
    laid = _codes(len(codes), codes.shape[1], bits)
    _lay(codes, bits, laid)
    return laid


def _lay(codes: np.ndarray, bits: int, to: np.ndarray) -> None:
    library().hanlin_lay(codes.ctypes.data, *codes.shape, bits, 0, to.ctypes.data)


def _rounded(weight: np.ndarray, bits: int, group: int, has_minimum: bool) -> Packed:
    (outputs, inputs), _ = weight.shape, _sound(group)
    step = max(LANES, WEIGHTS // max(1, inputs) // LANES * LANES)
    parts = (in_groups(weight[at : at + step], bits, group, has_minimum) for at in range(0, outputs, step))
    return _of_groups(parts, outputs, inputs, bits, group, has_minimum)


def _grouped(it: Coded, inputs: int, bits: int, group: int) -> Grouped:
    codes, scales, minimums = it
    kind, shape = np.int8 if bits == 8 else np.uint8, (len(codes), -(-inputs // group))
    fits = bits in (4, 8) and codes.dtype == kind and codes.shape[1] == inputs and scales.shape == shape
    fits = fits and (minimums is None or minimums.shape == shape)
    if not fits or (bits == 4 and codes.max(initial=0) > 15):
        raise ValueError(f"{bits} bits in groups of {group}: {codes.dtype} {codes.shape}, scales {scales.shape}")
    return Grouped(np.ascontiguousarray(codes), *to_halves(scales, minimums))


def _of_groups(
    pieces: Iterator[Grouped], outputs: int, inputs: int, bits: int, group: int, has_minimums: bool
) -> Packed:
    blocks, count = -(-outputs // LANES), -(-inputs // group)
    codes, rows = _codes(outputs, inputs, bits), np.zeros(blocks * LANES, np.float32)
    groups = np.zeros((blocks, count, 1 + has_minimums, LANES), np.float16)
    end = 0
    for it in pieces:
        begin, end = end, end + len(it.codes)
        if begin % LANES or end > outputs or (it.minimums is not None) != has_minimums:
            raise ValueError(f"outputs {begin} to {end} of {outputs}, not of a multiple of {LANES}, or another kind")
        some = slice(begin // LANES, -(-end // LANES))
        _lay(np.ascontiguousarray(it.codes), bits, codes[some])
        rows[begin:end] = it.rows
        for part, of in enumerate((it.scales, it.minimums)[: 1 + has_minimums]):
            filled = np.zeros(((some.stop - some.start) * LANES, count), np.float16)
            filled[: len(it.codes)] = of
            groups[some, :, part] = filled.reshape(-1, LANES, count).swapaxes(1, 2)
    if end != outputs:
        raise ValueError(f"{end} outputs, not {outputs}")
    return Packed(codes, rows, groups, outputs, inputs, group, bits)


def _like(x: Array, columns: int, rows: int | None = None) -> Array:
    shape = len(x) if rows is None else rows, columns
    made = np.empty(shape, np.float32) if isinstance(x, np.ndarray) else x.new_empty(shape)
    return cast("Array", made)
