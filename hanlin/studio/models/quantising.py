"""Quantise: a model in, steps and rows of its quality card out; a smaller copy in the store."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from hanlin.core.errors import DataError, StoreError
from hanlin.eval.quality import Quality, Reference, qualities, shipped_text
from hanlin.model import quantise
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.load import load
from hanlin.model.plan import Bits
from hanlin.model.save import save_gguf
from hanlin.model.store import find, pull, stored

KINDS: dict[int, Literal["Q8_0", "Q4_1"]] = {8: "Q8_0", 4: "Q4_1"}
ROW, MOST_ROWS, LEAST_TOKENS = 256, 32, 512


@dataclass(frozen=True)
class Doing:
    """A step has begun."""

    name: str
    preset: str = ""


@dataclass(frozen=True)
class Made:
    """The copy is in the store."""

    name: str
    bytes: int


def card(name: str, text: str) -> Iterator[Doing | Quality]:
    """What 8 and 4 bits would cost a model."""
    yield Doing("read")
    checkpoint = load(_path(name))
    reference = Reference(checkpoint, text or shipped_text())
    presets: tuple[tuple[Bits, str], ...] = ((32, "float32"), (8, "int8"), (4, "int4"))
    for bits, preset in presets:
        yield Doing("measure", preset)
        yield from qualities(reference, checkpoint, [bits])


def made(name: str, bits: int, text: str | None) -> Iterator[Doing | Quality | Made]:
    """Write a copy of 8 or 4 bits into the store, then measure it.

    Args:
        text: what to mend errors of 4 bits on; "" for the shipped one, None to round to the nearest.

    Raises:
        StoreError: there is a model of its name.
        DataError: the text is too short.
    """
    fresh = f"{name.partition('@')[0].replace('/', '-').removesuffix('.gguf')}-int{bits}"
    if any(one.name == fresh for one in stored()):
        raise StoreError(f"{fresh} is here already", "remove it first")
    yield Doing("read")
    checkpoint = load(_path(name))
    reference = Reference(checkpoint, text or shipped_text())  # before calibration, which rounds the network in place
    yield Doing("measure", "float32")
    yield from qualities(reference, checkpoint, [32])
    yield Doing("round")
    blocks: Any = {}
    if bits == 4:
        network = load(_path(name)).network
        nearest = text is None
        blocks = quantise.nearest(network) if nearest else quantise.calibrated(network, _rows(checkpoint, text))
    yield Doing("write")
    with TemporaryDirectory(prefix="hanlin-") as folder:
        file = Path(folder) / f"{fresh}.gguf"
        save_gguf(checkpoint, file, KINDS[bits], blocks)
        for _ in pull(str(file), alias=fresh):
            pass
    path = _path(fresh)
    yield Made(fresh, path.stat().st_size)
    yield Doing("measure", fresh)
    small = load(path)
    yield from qualities(reference, small, [8 if bits == 8 else 4], fresh)


def _path(name: str) -> Path:
    path = find(name)
    if path is None:
        raise StoreError(f"{name} is not here", "pull it first")
    return path


def _rows(checkpoint: Checkpoint, text: str | None) -> Any:
    import torch

    tokenizer = checkpoint.tokenizer
    ids = [] if tokenizer is None else tokenizer.encode(text or shipped_text(), add_special=False)
    row = min(ROW, checkpoint.config.context)
    count = min(len(ids) // row, MOST_ROWS)
    if count * row < LEAST_TOKENS:
        raise DataError(f"the text has {len(ids)} tokens", f"give at least {LEAST_TOKENS}, better 8,192")
    return torch.tensor(ids[: count * row]).view(count, row)
