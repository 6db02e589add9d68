"""Metadata and tensors in, a GGUF file of version 3 out: whole or not at all, with one tensor in memory at a time.

Reference: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hanlin.core.errors import WeightsError, shown
from hanlin.core.run import replacing
from hanlin.model.gguf.format import ALIGNMENT, DTYPES, MAGIC, TensorInfo, TensorType, ValueType
from hanlin.model.gguf.quantise import quantise

MAX_NAME = 63
"""Bytes in a tensor's name; llama.cpp opens no file with a longer one."""
PIECE = 1 << 20
"""Weights quantised at a time."""

_KINDS = {np.dtype(dtype): kind for kind, dtype in DTYPES.items() if kind is not ValueType.BOOL} | {
    np.dtype(bool): ValueType.BOOL
}


@dataclass(frozen=True)
class Later:
    """An array of known shape that is made when its turn comes to be written, and let go after."""

    shape: tuple[int, ...]
    make: Callable[[], np.ndarray]


Tensor = tuple[str, TensorType, np.ndarray | Later]


def write(path: Path, metadata: Mapping[str, Any], tensors: Iterable[Tensor]) -> None:
    """Write (name, type, weights) after the metadata.

    Weights are floats that become blocks of the type here, or uint8 rows of blocks that already are.
    Metadata values: bool, str, float (as 32 bits), int (32 bits, unsigned if it can be, else 64), and lists of one of
    these (ints signed if they can be); a numpy number or array is written in its own type.

    Raises:
        WeightsError: a name is too long or stands twice, a value is of no kind GGUF has, a weight or a row does not
            fit the type.
        CapacityError: the disk is full; nothing is left behind.
        StoreError: the file cannot be written.
    """
    tensors = list(tensors)
    alignment = int(metadata.get("general.alignment", ALIGNMENT))
    infos = _infos(tensors, alignment)
    header = b"".join(_header(metadata, infos))
    with replacing(path) as sink:
        sink.write(header + bytes(-len(header) % alignment))
        for info, (_, _, weights) in zip(infos, tensors, strict=True):
            for piece in _pieces(info, weights):
                sink.write(piece.data)
            sink.write(bytes(-info.bytes % alignment))


def _infos(tensors: Sequence[Tensor], alignment: int) -> list[TensorInfo]:
    """Each tensor's place, counted from the end of the header."""
    infos: dict[str, TensorInfo] = {}
    offset = 0
    for name, kind, weights in tensors:
        shape = weights.shape
        if isinstance(weights, np.ndarray) and weights.dtype == np.uint8:
            shape = (*shape[:-1], shape[-1] // kind.block_bytes * kind.block_size)
        if len(name.encode()) > MAX_NAME or name in infos:
            reason = "stands twice" if name in infos else f"has a name of more than {MAX_NAME} bytes"
            raise WeightsError(f"tensor {shown(name)} {reason}", "give it another name")
        if not shape or not all(shape) or shape[-1] % kind.block_size:
            raise WeightsError(
                f"tensor {shown(name)} of shape {shape} does not fill {kind.name} blocks of {kind.block_size} weights",
                "write this tensor as F16",
            )
        infos[name] = TensorInfo(name, tuple(shape), kind, offset)
        offset += infos[name].bytes + -infos[name].bytes % alignment
    return list(infos.values())


def _pieces(info: TensorInfo, weights: np.ndarray | Later) -> Iterator[np.ndarray]:
    """A tensor's bytes, some rows at a time."""
    array = weights.make() if isinstance(weights, Later) else weights
    if array.dtype == np.uint8:
        yield np.ascontiguousarray(array)
        return
    assert tuple(array.shape) == info.shape, (info, array.shape)
    rows = array.reshape(info.rows, info.width)
    step = max(1, PIECE // info.width)
    for begin in range(0, info.rows, step):
        try:
            yield quantise(info.type, np.ascontiguousarray(rows[begin : begin + step], np.float32))
        except WeightsError as error:
            raise WeightsError(f"tensor {shown(info.name)}: {error.what}", error.fix) from None


def _header(metadata: Mapping[str, Any], infos: Sequence[TensorInfo]) -> Iterator[bytes]:
    yield MAGIC + struct.pack("<IQQ", 3, len(infos), len(metadata))
    for key, value in metadata.items():
        yield _text(key, key)
        yield from _value(key, value)
    for info in infos:
        yield _text(info.name, info.name)
        yield struct.pack("<I", len(info.shape))
        yield struct.pack(f"<{len(info.shape)}Q", *info.shape[::-1])
        yield struct.pack("<IQ", info.type.value, info.offset)


def _value(key: str, value: Any) -> Iterator[bytes]:
    """A value's kind, then the value."""
    if isinstance(value, str):
        yield struct.pack("<I", ValueType.STRING) + _text(key, value)
    elif isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        yield struct.pack("<IIQ", ValueType.ARRAY, ValueType.STRING, len(value))
        yield b"".join(_text(key, item) for item in value)
    else:
        kind, numbers = _numbers(key, value)
        front = struct.pack("<IIQ", ValueType.ARRAY, kind, len(numbers)) if numbers.ndim else struct.pack("<I", kind)
        yield front + numbers.tobytes()


def _numbers(key: str, value: Any) -> tuple[ValueType, np.ndarray]:
    """Numbers or bools of one kind: numpy's own, or the usual one for Python's."""
    if not isinstance(value, (np.ndarray, np.generic)):
        value = _usual(key, value)
    kind = _KINDS.get(value.dtype.newbyteorder("<"))
    if kind is None or value.ndim > 1:
        raise _no_kind(key, value)
    return kind, np.asarray(value).astype(DTYPES[kind])


def _usual(key: str, value: Any) -> np.ndarray:
    """Python's numbers in the kind that llama.cpp looks for."""
    kinds = {type(item) for item in value} if isinstance(value, (list, tuple)) else {type(value)}
    if kinds == {bool}:
        return np.array(value, bool)
    if kinds == {float}:
        return np.array(value, np.float32)
    if kinds != {int}:
        raise _no_kind(key, value)
    found = np.array(value)
    for dtype in (np.int32, np.uint32) if found.ndim else (np.uint32, np.int32):
        if np.iinfo(dtype).min <= found.min() and found.max() <= np.iinfo(dtype).max:
            return found.astype(dtype)
    return found


def _no_kind(key: str, value: Any) -> WeightsError:
    return WeightsError(f"{key} = {shown(value)} is of no kind that GGUF has", "give a number, a text or a list of one")


def _text(key: str, text: str) -> bytes:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise WeightsError(f"{key}: {shown(text)} is not text that UTF-8 can hold", "mend or drop it") from None
    return struct.pack("<Q", len(raw)) + raw
