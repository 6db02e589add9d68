"""A GGUF file in; its metadata, and its tensors as raw blocks or as float32, out. The file stays on disk, mapped.

A model split over `…-00001-of-00003.gguf` files is opened by any one of them and reads as one.

Reference: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import mmap as mmap_module
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int, UInt8

from hanlin.core.errors import WeightsError, did_you_mean, shown
from hanlin.model.gguf.dequantise import dequantise
from hanlin.model.gguf.format import TensorInfo
from hanlin.model.gguf.header import Header, parse

Blocks = UInt8[np.ndarray, "rows bytes"]
Weights = Float32[np.ndarray, "..."]
Order = Int[np.ndarray, "_"]
Rows = slice | Order
MAX_PARTS = 1000
PIECE = 1 << 20
"""Weights one thread turns at a time: a millisecond's work."""

_PART = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")


@dataclass(frozen=True, eq=False)
class GGUFFile:
    """An open file: `metadata` as plain values, `tensors` by name, in the file's order."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, TensorInfo]
    parts: tuple[UInt8[np.ndarray, "..."], ...]
    """The bytes of each part, mapped read-only."""
    maps: tuple[mmap, ...]
    """The same for the operating system."""

    @classmethod
    def open(cls, path: Path) -> "GGUFFile":
        """Map a file, and every part of a split one, and check all of its lengths and offsets.

        Raises:
            WeightsError: the file cannot be read, is not GGUF, is damaged, or a part of it is missing.
        """
        data, header = _mapped(path, 0)
        count = header.metadata.get("split.count", 1)
        if count == 1:
            return cls(path, header.metadata, header.tensors, (np.frombuffer(data, np.uint8),), (data,))
        paths = _parts(path, count)
        opened = [_mapped(part, number) for number, part in enumerate(paths)]
        tensors = _merged(paths, [header for _, header in opened])
        arrays = tuple(np.frombuffer(data, np.uint8) for data, _ in opened)
        return cls(paths[0], opened[0][1].metadata, tensors, arrays, tuple(data for data, _ in opened))

    def info(self, name: str) -> TensorInfo:
        """Where a tensor lies.

        Raises:
            WeightsError: the file has no such tensor.
        """
        if name not in self.tensors:
            raise WeightsError(f"{self.path.name} has no tensor {shown(name)}", did_you_mean(name, self.tensors))
        return self.tensors[name]

    def blocks(self, name: str) -> Blocks:
        """A tensor's bytes as they lie in the file, one row of the tensor a row; nothing is copied."""
        info = self.info(name)
        return self.parts[info.part][info.offset : info.offset + info.bytes].reshape(info.rows, info.row_bytes)

    def release(self, name: str, rows: slice = slice(None)) -> None:
        """Give back the memory through which a tensor, or rows of it, was seen; another look reads the file again."""
        info = self.info(name)
        first, last, _ = rows.indices(info.rows)
        if hasattr(mmap_module, "MADV_DONTNEED"):
            begin, end = (info.offset + row * info.row_bytes for row in (first, last))
            begin -= begin % mmap_module.PAGESIZE
            self.maps[info.part].madvise(mmap_module.MADV_DONTNEED, begin, end - begin)

    def float32(self, name: str, out: Weights | None = None, order: Order | None = None) -> Weights:
        """A tensor's weights in its shape, or written into `out` where given: contiguous, of any shape of that size.

        `order` picks rows: row i of the result is row `order[i]` of the file.

        Raises:
            WeightsError: there is no such tensor, or its type is one we do not carry.
        """
        info = self.info(name)
        if out is None:
            out = np.empty(info.shape if order is None else (len(order), info.width), np.float32)
        for piece in self._pieces(name, out, order):
            self._turn(*piece)
        return out

    def fill(self, jobs: Iterable[tuple[str, Weights, Order | None]], threads: int) -> None:
        """`float32(name, out, order)` for each (name, out, order), cut into pieces that `threads` threads share.

        Raises:
            WeightsError: as `float32`.
        """
        pieces = [piece for job in jobs for piece in self._pieces(*job)]
        with ThreadPoolExecutor(threads) as pool:
            deque(pool.map(lambda piece: self._turn(*piece), pieces), maxlen=0)

    def _pieces(self, name: str, out: Weights, order: Order | None) -> Iterator[tuple[TensorInfo, Rows, Weights]]:
        """One job as (tensor, some of its rows, their place in `out`), about PIECE weights each."""
        info = self.info(name)
        rows = info.rows if order is None else len(order)
        assert out.flags.c_contiguous and out.size == rows * info.width, (name, out.shape, info.shape)
        target = out.reshape(rows, info.width)
        step = max(1, PIECE // info.width)
        for begin in range(0, rows, step):
            some = slice(begin, begin + step)
            yield info, some if order is None else order[some], target[some]

    def _turn(self, info: TensorInfo, rows: Rows, out: Weights) -> None:
        try:
            dequantise(info.type, self.blocks(info.name)[rows], out)
        except WeightsError as error:
            raise WeightsError(f"{self.path.name}: tensor {shown(info.name)}: {error.what}", error.fix) from None


def _mapped(path: Path, part: int) -> tuple[mmap, Header]:
    """A file's bytes and its parsed header."""
    try:
        if not path.is_file():
            raise WeightsError(f"{path} is not a file", "name a .gguf file")
        with path.open("rb") as source:
            if not path.stat().st_size:
                raise WeightsError(f"{path.name} is empty", "fetch or convert it again")
            data = mmap(source.fileno(), 0, access=ACCESS_READ)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}", "name a file you may read") from None
    header = parse(data, path, part)
    if hasattr(mmap_module, "MADV_DONTNEED"):  # a vocabulary and its merges take megabytes, and are lists now
        first = min((info.offset for info in header.tensors.values()), default=0)
        if first:
            data.madvise(mmap_module.MADV_DONTNEED, 0, first)
    return data, header


def _parts(path: Path, count: object) -> list[Path]:
    """The files of a split model, all there, in order."""
    named = _PART.fullmatch(path.name)
    if type(count) is not int or not 1 < count <= MAX_PARTS:
        raise WeightsError(f"{path.name}: split.count is {shown(count)}", f"a model has 1 to {MAX_PARTS} parts")
    if not named or int(named[3]) != count:
        raise WeightsError(
            f"{path.name} is one of {count} parts, and its name does not say so",
            f"name the parts as llama.cpp does: model-00001-of-{count:05}.gguf and so on",
        )
    paths = [path.with_name(f"{named[1]}-{number:05}-of-{count:05}.gguf") for number in range(1, count + 1)]
    missing = [part.name for part in paths if not part.is_file()]
    if missing:
        raise WeightsError(
            f"{path.name}: {len(missing)} of its {count} parts are missing: {shown(missing[0])}",
            "put all parts into one folder",
        )
    return paths


def _merged(paths: list[Path], headers: list[Header]) -> dict[str, TensorInfo]:
    """The tensors of all parts, each part being what its place says it is."""
    tensors: dict[str, TensorInfo] = {}
    for number, (path, header) in enumerate(zip(paths, headers, strict=True)):
        place = header.metadata.get("split.no"), header.metadata.get("split.count")
        if place != (number, len(paths)):
            raise WeightsError(
                f"{path.name} says it is part {shown(place[0])} (from 0) of {shown(place[1])}",
                "the parts are mixed up: fetch them again",
            )
        twice = tensors.keys() & header.tensors.keys()
        if twice:
            raise WeightsError(
                f"{path.name}: tensor {shown(min(twice))} is in an earlier part too",
                "the parts are of different models: fetch them again",
            )
        tensors |= header.tensors
    total = headers[0].metadata.get("split.tensors.count", len(tensors))
    if total != len(tensors):
        raise WeightsError(
            f"{paths[0].name}: the parts hold {len(tensors)} tensors, where {shown(total)} are announced",
            "fetch the parts again",
        )
    return tensors
