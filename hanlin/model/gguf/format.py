"""What the numbers in a GGUF file mean: tensor types with the sizes of their blocks, kinds of metadata values.

Reference: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, and `ggml.h` for the tensor types.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum
from math import prod

MAGIC = b"GGUF"
ALIGNMENT = 32
"""Bytes that tensors start at a multiple of, unless `general.alignment` says otherwise."""


class ValueType(IntEnum):
    """Kinds of metadata values."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


DTYPES = {
    ValueType.UINT8: "<u1",
    ValueType.INT8: "<i1",
    ValueType.UINT16: "<u2",
    ValueType.INT16: "<i2",
    ValueType.UINT32: "<u4",
    ValueType.INT32: "<i4",
    ValueType.FLOAT32: "<f4",
    ValueType.BOOL: "<u1",
    ValueType.UINT64: "<u8",
    ValueType.INT64: "<i8",
    ValueType.FLOAT64: "<f8",
}
"""The numpy type of each kind of number."""


class TensorType(Enum):
    """How a tensor's numbers are stored: rows of blocks, each `block_size` weights in `block_bytes` bytes."""

    F32 = 0, 1, 4
    F16 = 1, 1, 2
    Q4_0 = 2, 32, 18
    Q4_1 = 3, 32, 20
    Q5_0 = 6, 32, 22
    Q5_1 = 7, 32, 24
    Q8_0 = 8, 32, 34
    Q8_1 = 9, 32, 40
    Q2_K = 10, 256, 84
    Q3_K = 11, 256, 110
    Q4_K = 12, 256, 144
    Q5_K = 13, 256, 176
    Q6_K = 14, 256, 210
    Q8_K = 15, 256, 292
    IQ2_XXS = 16, 256, 66
    IQ2_XS = 17, 256, 74
    IQ3_XXS = 18, 256, 98
    IQ1_S = 19, 256, 50
    IQ4_NL = 20, 32, 18
    IQ3_S = 21, 256, 110
    IQ2_S = 22, 256, 82
    IQ4_XS = 23, 256, 136
    I8 = 24, 1, 1
    I16 = 25, 1, 2
    I32 = 26, 1, 4
    I64 = 27, 1, 8
    F64 = 28, 1, 8
    IQ1_M = 29, 256, 56
    BF16 = 30, 1, 2
    TQ1_0 = 34, 256, 54
    TQ2_0 = 35, 256, 66
    MXFP4 = 39, 32, 17
    NVFP4 = 40, 64, 36
    Q1_0 = 41, 128, 18

    block_size: int
    block_bytes: int

    def __new__(cls, number: int, block_size: int, block_bytes: int) -> "TensorType":  # noqa: PYI034, beartype has no Self here
        """A member whose value is ggml's number."""
        member = object.__new__(cls)
        member._value_ = number
        member.block_size = block_size
        member.block_bytes = block_bytes
        return member


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file: its name, its shape with rows first, its type, and where its bytes begin."""

    name: str
    shape: tuple[int, ...]
    type: TensorType
    offset: int
    """Bytes from the start of the file."""
    part: int = 0
    """Which file of a split model holds it, from 0."""

    @property
    def width(self) -> int:
        """Weights in a row."""
        return self.shape[-1]

    @property
    def rows(self) -> int:
        """All dimensions but the last, multiplied."""
        return prod(self.shape[:-1])

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.width // self.type.block_size * self.type.block_bytes

    @property
    def bytes(self) -> int:
        """Bytes of the whole tensor."""
        return self.rows * self.row_bytes
