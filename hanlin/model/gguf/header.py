"""The front of a GGUF file in, its metadata and its list of tensors out.

    magic "GGUF" · version u32 · tensors u64 · keys u64
    keys     × (key string · kind u32 · value)            string: length u64, UTF-8 bytes
    tensors  × (name string · dims u32 · dims × u64 · type u32 · offset u64)
    padding to the alignment, then the tensors' bytes, each at its offset from here

Every length is held against what is left of the file before anything of that length is made, so that a damaged or
hostile file costs an error and no memory.

Reference: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np

from hanlin.core.errors import WeightsError, shown
from hanlin.model.gguf.format import ALIGNMENT, DTYPES, MAGIC, TensorInfo, TensorType, ValueType

MAX_ENTRIES = 1 << 22
"""All array entries of one header together; the largest vocabularies with their merges have about a million."""
MAX_DEPTH = 4
"""Arrays within arrays."""
MAX_DIMS = 4
AGAIN = "the file is damaged: fetch or convert it again"

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


@dataclass(frozen=True)
class Header:
    """What the front of one file says."""

    metadata: dict[str, Any]
    tensors: dict[str, TensorInfo]


class Cursor:
    """A place in the mapped file that moves on with every value read, and never past the end."""

    def __init__(self, data: mmap | bytes, path: Path) -> None:
        self.data = data
        self.path = path
        self.at = 0
        self.entries = 0

    def wrong(self, what: str, fix: str = AGAIN) -> WeightsError:
        """An error about this file."""
        return WeightsError(f"{self.path.name}: {what}", fix)

    def need(self, size: int, what: str) -> None:
        """Raises: WeightsError: fewer than `size` bytes are left."""
        left = len(self.data) - self.at
        if size > left:
            raise self.wrong(f"{what} at byte {self.at} needs {size} bytes where {left} are left")

    def take(self, size: int, what: str) -> bytes:
        """The next `size` bytes."""
        self.need(size, what)
        self.at += size
        return self.data[self.at - size : self.at]

    def u32(self, what: str) -> int:
        """The next 4 bytes as a number."""
        return _U32.unpack(self.take(4, what))[0]

    def u64(self, what: str) -> int:
        """The next 8 bytes as a number."""
        return _U64.unpack(self.take(8, what))[0]

    def text(self, what: str) -> str:
        """A length, then so many bytes of UTF-8."""
        begin = self.at
        raw = self.take(self.u64(f"the length of {what}"), what)
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError:
            raise self.wrong(f"{what} at byte {begin} is {shown(raw, 40)}, not UTF-8") from None

    def kind(self, what: str) -> ValueType:
        """The kind of the value that follows."""
        number = self.u32(f"the kind of {what}")
        try:
            return ValueType(number)
        except ValueError:
            raise self.wrong(f"{what} is of kind {number}; kinds run from 0 to {max(ValueType)}") from None

    def value(self, kind: ValueType, what: str, depth: int = 0) -> Any:
        """One metadata value: a number, a bool, a str, or a list of one of them."""
        if kind is ValueType.STRING:
            return self.text(what)
        if kind is not ValueType.ARRAY:
            return self.numbers(kind, 1, what)[0]
        if depth == MAX_DEPTH:
            raise self.wrong(f"{what} has arrays within arrays, more than {MAX_DEPTH} deep")
        kind, count = self.kind(what), self.u64(f"the length of {what}")
        self.entries += count
        if self.entries > MAX_ENTRIES:
            raise self.wrong(f"{what} brings the array entries to {self.entries}, where {MAX_ENTRIES} are allowed")
        if kind is ValueType.STRING:
            return self.texts(count, what)
        if kind is ValueType.ARRAY:
            self.need(count * 12, what)
            return [self.value(kind, what, depth + 1) for _ in range(count)]
        return self.numbers(kind, count, what)

    def numbers(self, kind: ValueType, count: int, what: str) -> list[Any]:
        """`count` numbers or bools of one kind."""
        dtype = np.dtype(DTYPES[kind])
        found = np.frombuffer(self.take(count * dtype.itemsize, what), dtype)
        if kind is not ValueType.BOOL:
            return found.tolist()
        if count and found.max() > 1:
            raise self.wrong(f"{what} is a bool of value {found.max()}")
        return found.astype(bool).tolist()

    def texts(self, count: int, what: str) -> list[str]:
        """`count` strings. A vocabulary has 100,000s of them, hence the bare loop: about 0.3 µs each."""
        self.need(count * 8, what)
        data, at, length = self.data, self.at, _U64.unpack_from
        limit = len(data) - 8
        found: list[str] = []
        for _ in range(count):
            if at > limit:
                break
            begin = at + 8
            at = begin + length(data, at)[0]
            try:
                found.append(data[begin:at].decode())
            except UnicodeDecodeError:
                bad = shown(data[begin : min(at, begin + 40)], 40)
                raise self.wrong(f"{what}[{len(found)}] is {bad}, not UTF-8") from None
        if at > len(data) or len(found) < count:
            raise self.wrong(f"{what}[{len(found) - 1}] runs past the end of the file")
        self.at = at
        return found


def parse(data: mmap | bytes, path: Path, part: int = 0) -> Header:
    """The header of one file; every tensor it lists lies whole inside `data`, apart from the others.

    Raises:
        WeightsError: the file is not GGUF of version 2 or 3 in little-endian order, or is damaged.
    """
    cursor = Cursor(data, path)
    _check_version(cursor)
    tensor_count, key_count = cursor.u64("the number of tensors"), cursor.u64("the number of keys")
    cursor.need(tensor_count * 24 + key_count * 13, f"a list of {tensor_count} tensors and {key_count} keys")
    metadata: dict[str, Any] = {}
    for number in range(key_count):
        key = cursor.text(f"key {number}")
        if key in metadata:
            raise cursor.wrong(f"the key {shown(key)} stands twice")
        metadata[key] = cursor.value(cursor.kind(shown(key)), shown(key))
    alignment = _alignment(cursor, metadata)
    tensors: dict[str, TensorInfo] = {}
    for number in range(tensor_count):
        info = _tensor(cursor, number, alignment, part)
        if info.name in tensors:
            raise cursor.wrong(f"the tensor {shown(info.name)} stands twice")
        tensors[info.name] = info
    return Header(metadata, _placed(cursor, tensors, alignment))


def _check_version(cursor: Cursor) -> None:
    magic = cursor.data[:4]
    if magic != MAGIC:
        raise cursor.wrong(f"begins with {shown(bytes(magic))}, so it is not a GGUF file", "name a .gguf file")
    cursor.at = 4
    version = cursor.u32("the version")
    if version and version & 0xFFFF == 0:
        raise cursor.wrong("is written in big-endian order", "convert it again for little-endian machines")
    if version == 1:
        raise cursor.wrong("is GGUF version 1, which nobody writes any more", "convert it again with today's llama.cpp")
    if version not in (2, 3):
        raise cursor.wrong(f"is GGUF version {version}; we read 2 and 3", "convert it to version 3")


def _alignment(cursor: Cursor, metadata: Mapping[str, Any]) -> int:
    alignment = metadata.get("general.alignment", ALIGNMENT)
    if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
        raise cursor.wrong(f"general.alignment is {shown(alignment)}, not a power of two")
    return alignment


def _tensor(cursor: Cursor, number: int, alignment: int, part: int) -> TensorInfo:
    """One entry of the list of tensors; its offset still counts from the end of the header."""
    name = cursor.text(f"the name of tensor {number}")
    label = f"tensor {shown(name)}"
    dims = cursor.u32(f"the dimensions of {label}")
    if not 1 <= dims <= MAX_DIMS:
        raise cursor.wrong(f"{label} has {dims} dimensions; a tensor has 1 to {MAX_DIMS}")
    shape = tuple(cursor.u64(f"the shape of {label}") for _ in range(dims))[::-1]
    type_number, offset = cursor.u32(f"the type of {label}"), cursor.u64(f"the offset of {label}")
    try:
        kind = TensorType(type_number)
    except ValueError:
        raise cursor.wrong(f"{label} is of type {type_number}, which we do not know", "convert it to F16") from None
    if prod(shape) == 0:
        raise cursor.wrong(f"{label} has shape {shape}: there is nothing in it")
    if shape[-1] % kind.block_size:
        raise cursor.wrong(
            f"{label} has rows of {shape[-1]}, which {kind.name} blocks of {kind.block_size} cannot fill"
        )
    if offset % alignment:
        raise cursor.wrong(f"{label} begins at offset {offset}, not at a multiple of {alignment}")
    return TensorInfo(name, shape, kind, offset, part)


def _placed(cursor: Cursor, tensors: Mapping[str, TensorInfo], alignment: int) -> dict[str, TensorInfo]:
    """The tensors with offsets from the start of the file; none reaches past its end or into another."""
    start = cursor.at + -cursor.at % alignment
    end, last = start, "the header"
    for info in sorted(tensors.values(), key=lambda info: info.offset):
        begin = start + info.offset
        if begin < end:
            raise cursor.wrong(f"tensor {shown(info.name)} begins at byte {begin}, inside {last}")
        end, last = begin + info.bytes, shown(info.name)
        if end > len(cursor.data):
            size = len(cursor.data)
            raise cursor.wrong(f"tensor {last} of shape {info.shape} ends at byte {end}, the file at {size}")
    return {
        name: TensorInfo(name, info.shape, info.type, start + info.offset, info.part) for name, info in tensors.items()
    }
