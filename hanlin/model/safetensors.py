"""Safetensors files in, tensors out, mapped from disk, and back: a JSON header that says where each one's bytes lie.

A tensor is a view of the file until somebody copies it; `copy_to` gives its pages back as it goes, so that the weights
are never in memory twice.

Reference: https://github.com/huggingface/safetensors#format
"""

import json
import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from hanlin.core.errors import WeightsError, shown
from hanlin.core.run import replacing

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
LARGEST_HEADER = 100 << 20
AT_ONCE = 16 << 20
"""Bytes copied before their pages are given back."""
AGAIN = "fetch it again"
FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
NAMES = {dtype: name for name, dtype in FLOATS.items()}
OTHERS = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1}
OTHERS |= {"I16": 2, "U16": 2, "I32": 4, "U32": 4, "I64": 8, "U64": 8, "C64": 8}
SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2} | OTHERS


@dataclass(frozen=True)
class Stored:
    """A tensor in a file."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """As the format writes it: F32, BF16, …"""
    begin: int
    """Bytes from the start of the file."""
    end: int
    file: "File"

    def tensor(self) -> Any:
        """The weights, as a tensor of torch that is a view of the file.

        Raises:
            WeightsError: they are no floats of a kind we carry.
        """
        import torch  # not needed where the native kernels compute, and slow to import

        self._check()
        dtype, count = getattr(torch, FLOATS[self.dtype]), prod(self.shape)
        if not count:
            return torch.empty(self.shape, dtype=dtype)
        if self.begin % dtype.itemsize:
            return torch.frombuffer(bytearray(self.file.data[self.begin : self.end]), dtype=dtype).view(self.shape)
        return torch.frombuffer(self.file.data, dtype=dtype, count=count, offset=self.begin).view(self.shape)

    def array(self) -> np.ndarray:
        """The weights as an array of numpy, which knows no bfloat16: of that the bits, uint16.

        Raises:
            WeightsError: they are no floats of a kind we carry.
        """
        self._check()
        kind = "<u2" if self.dtype == "BF16" else f"<f{SIZES[self.dtype]}"
        return np.frombuffer(self.file.data, kind, prod(self.shape), self.begin).reshape(self.shape)

    def copy_to(self, out: Any, *, is_turned: bool = False) -> None:
        """Copy the weights, with rows and columns exchanged if `is_turned`, and give back the memory they came through.

        Args:
            out: a tensor of torch, or an array of numpy of float32.

        Raises:
            WeightsError: they are no floats of a kind we carry.
        """
        source, copy = (self.array(), _widen) if isinstance(out, np.ndarray) else (self.tensor(), _copy)
        if is_turned or not prod(self.shape):
            copy(out, source.swapaxes(-1, -2) if is_turned else source)
            self._release(self.begin, self.end)
            return
        row = (self.end - self.begin) // len(source)
        step = max(1, AT_ONCE // row)
        for first in range(0, len(source), step):
            copy(out[first : first + step], source[first : first + step])
            self._release(self.begin + first * row, min(self.begin + (first + step) * row, self.end))

    def equals(self, other: "Stored") -> bool:
        """The same weights, kept in the same way."""
        if (self.dtype, self.shape) != (other.dtype, other.shape):
            return False
        pairs = ((it.begin + at, it) for at in range(0, self.end - self.begin, AT_ONCE) for it in (self, other))
        bytes_ = [np.frombuffer(it.file.data, np.uint8, min(AT_ONCE, it.end - at), at) for at, it in pairs]
        return all(np.array_equal(one, two) for one, two in zip(bytes_[::2], bytes_[1::2], strict=True))

    def _check(self) -> None:
        if self.dtype not in FLOATS:
            what = f"{self.file.path.name}: tensor {shown(self.name)} is of type {self.dtype}"
            raise WeightsError(what, f"convert the model to one of {' '.join(FLOATS)}")

    def _release(self, begin: int, end: int) -> None:
        """Pages looked at count as ours until we give them back; the next look would read the disk again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            begin -= begin % mmap.PAGESIZE
            self.file.data.madvise(mmap.MADV_DONTNEED, begin, end - begin)


def _copy(out: Any, source: Any) -> None:
    out.copy_(source)


def _widen(out: np.ndarray, source: np.ndarray) -> None:
    if source.dtype == np.uint16:
        np.left_shift(source, np.uint32(16), out=out.view(np.uint32))
        return
    with np.errstate(over="ignore"):  # whoever loads a model looks for infinite weights
        np.copyto(out, source, casting="same_kind")


@dataclass(frozen=True, eq=False)
class File:
    """One open file. The mapping is private: nothing can be written through it."""

    path: Path
    data: mmap.mmap


def open_folder(folder: Path) -> dict[str, Stored]:
    """The tensors of a model folder: `model.safetensors`, or the parts its index names.

    Raises:
        WeightsError: there are none, a part is missing, or one is damaged.
    """
    if (folder / INDEX).is_file():
        parts = _indexed(folder)
        found: dict[str, Stored] = {}
        for part in sorted(set(parts.values())):
            found |= open_file(folder / part)
        lost = [name for name in parts if name not in found]
        if lost:
            raise WeightsError(f"{parts[lost[0]]} has no tensor {shown(lost[0])}, which {INDEX} promises", AGAIN)
        return found
    if (folder / SINGLE).is_file():
        return open_file(folder / SINGLE)
    files = sorted(folder.glob("*.safetensors"))
    if len(files) == 1:
        return open_file(files[0])
    has = f"{len(files)} .safetensors files and no {INDEX}" if files else "no weights"
    raise WeightsError(f"{folder} has {has}", f"a model's folder has {SINGLE}, or parts with their {INDEX}")


def write(path: Path, tensors: Iterable[tuple[str, Any]]) -> None:
    """One file of (name, weights), whole or not at all; tensors that are no contiguous rows are copied one by one.

    Raises:
        CapacityError: the disk is full.
        StoreError: the file cannot be written.
    """
    import torch

    tensors = list(tensors)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors:
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": NAMES[str(tensor.dtype).removeprefix("torch.")],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as sink:
        sink.write(len(text).to_bytes(8, "little") + text)
        for _, tensor in tensors:
            sink.write(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)


def _indexed(folder: Path) -> dict[str, str]:
    """Tensor name → file name."""
    parts = read_json(folder / INDEX).get("weight_map")
    if not isinstance(parts, dict) or not parts or not all(isinstance(part, str) for part in parts.values()):
        raise WeightsError(f"{INDEX} has no weight_map from tensors to files", AGAIN)
    for part in parts.values():
        if Path(part).name != part or part in ("", ".", ".."):
            raise WeightsError(f"{INDEX} names {shown(part)}, which is not a file beside it", "do not trust this model")
        if not (folder / part).is_file():
            raise WeightsError(f"{folder / part} is missing; {INDEX} names it", "fetch the model again")
    return parts


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds a table.

    Raises:
        WeightsError: it does not.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} cannot be read: {error}", AGAIN) from None
    if not isinstance(values, dict):
        raise WeightsError(f"{path} holds {shown(values)}, not a table", AGAIN)
    return values


def open_file(path: Path) -> dict[str, Stored]:
    """The tensors of one file; nothing but the header is read.

    Raises:
        WeightsError: the file cannot be read, or is damaged.
    """
    try:
        size = path.stat().st_size
        if size < 8:
            raise WeightsError(f"{path.name} has {size} bytes, which is no safetensors file", AGAIN)
        with path.open("rb") as source:
            data = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}", "name a file you may read") from None
    length = int.from_bytes(data[:8], "little")
    if length > min(size - 8, LARGEST_HEADER):
        raise WeightsError(f"{path.name} claims a header of {length} bytes; the file has {size}", AGAIN)
    try:
        header = json.loads(data[8 : 8 + length])
        header.pop("__metadata__", None)
        file = File(path, data)
        found = [_stored(name, entry, 8 + length, file) for name, entry in header.items()]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path.name} has a damaged header: {shown(str(error))}", AGAIN) from None
    _check_places(found, 8 + length, size, path)
    return {stored.name: stored for stored in found}


def _stored(name: str, entry: dict[str, Any], start: int, file: File) -> Stored:
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError(f"{name} has shape {shape} at {begin} to {end}")
    if entry["dtype"] not in SIZES:
        raise ValueError(f"{name} is of type {entry['dtype']}")
    if end - begin != prod(shape) * SIZES[entry["dtype"]]:
        raise ValueError(f"{name} of shape {shape} has {end - begin} bytes")
    return Stored(name, tuple(shape), entry["dtype"], start + begin, start + end, file)


def _check_places(found: Iterable[Stored], start: int, size: int, path: Path) -> None:
    """Tensors lie one after another and fill the file."""
    end = start
    for stored in sorted(found, key=lambda stored: (stored.begin, stored.end)):
        if stored.begin != end:
            raise WeightsError(
                f"{path.name}: tensor {shown(stored.name)} begins at byte {stored.begin}, not {end}", AGAIN
            )
        end = stored.end
    if end != size:
        why = f"{end - size} bytes are missing" if end > size else f"{size - end} bytes belong to no tensor"
        raise WeightsError(f"{path.name} is damaged: {why}", AGAIN)
