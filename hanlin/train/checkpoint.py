"""Checkpoints: all of a run in a folder, whole or not at all; read back, it goes on bit for bit as if never stopped.

    RUN/checkpoints/
        index.json                  {"latest": "step-00000200", "best": "step-00000100"}
        step-00000200/              a model's folder as Hugging Face and PEFT know it, and beside it
            state.json              where the run stands, the optimiser's numbers, sizes and checksums of the files
            state.safetensors       the optimiser's tensors, the running mean of the weights, the head's weights

No pickles. Each is written beside its place, read back and compared, then moved; what a full disk or a killed process
leaves behind is never taken for a checkpoint.
"""

import json
import logging
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hanlin.core.errors import CapacityError, HanlinError, StoreError, WeightsError
from hanlin.core.run import replacing
from hanlin.core.settings import parse
from hanlin.model import safetensors
from hanlin.train.state import State

log = logging.getLogger(__name__)
FOLDER, INDEX = "checkpoints", "index.json"
NUMBERS, TENSORS = "state.json", "state.safetensors"
VERSION = 1


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was read."""

    path: Path
    state: State
    optimiser: Mapping[str, Any]
    """As `Optimizer.state_dict` gives it."""
    tensors: Mapping[str, Tensor]
    """Everything else, by name."""
    identity: Mapping[str, Any]
    """What made it: settings, hashes of data, tokenizer and code (see `hanlin.train.identity`)."""


def save(
    run: Path,
    state: State,
    model: Any,
    optimiser: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    identity: Mapping[str, Any],
    keep: int,
) -> Path:
    """Write a checkpoint, verify it, name it the latest, and remove those that are not kept.

    Args:
        model: called with a folder, writes the model's files into it.
        optimiser: its `state_dict`.
        tensors: what else belongs to the run.

    Raises:
        CapacityError: the disk is full; the earlier checkpoints are untouched.
        StoreError: the folder cannot be written, or what was read back differs from what was written.
    """
    folder = run / FOLDER
    name = f"step-{state.step:08d}"
    beside = folder / f".{name}.{os.getpid()}"
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        model(beside)
        numbers, arrays = _flat(optimiser)
        arrays |= {f"run.{key}": value for key, value in tensors.items()}
        safetensors.write(beside / TENSORS, arrays.items())
        _compare(beside / TENSORS, arrays)
        content = {
            "version": VERSION,
            "state": state.model_dump(mode="json"),
            "optimiser": numbers,
            "identity": identity,
            "files": {file.relative_to(beside).as_posix(): _sum(file) for file in _files(beside)},
        }
        with replacing(beside / NUMBERS) as sink:
            sink.write(json.dumps(content, indent=1).encode())
        _sync(beside)
        if (folder / name).exists():
            (folder / name).rename(folder / f".{name}.old")
        beside.rename(folder / name)
        _sync(folder)
    except OSError as error:
        kind = CapacityError if error.errno in (28, 122) else StoreError
        what = f"checkpoint {name} cannot be written: {error.strerror}; the earlier ones are untouched"
        raise kind(what, "free some disk space, then go on with --resume") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    _name(folder, name, f"step-{state.best_step:08d}" if state.best_step is not None else None)
    _drop(folder, name, keep)
    return folder / name


def latest(run: Path) -> Saved | None:
    """The newest checkpoint that is whole; None if there is none. Damaged ones are told in the log."""
    for path in reversed(listed(run)):
        try:
            return read(path)
        except HanlinError as error:
            log.warning("%s is not used: %s", path.name, error.what)
    return None


def listed(run: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted(path for path in (run / FOLDER).glob("step-*") if path.is_dir())


def best(run: Path) -> Path | None:
    """The checkpoint that validated best."""
    name = index(run).get("best")
    path = run / FOLDER / str(name)
    return path if name and path.is_dir() else None


def index(run: Path) -> dict[str, str | None]:
    """What index.json says; nothing if it is not there or damaged."""
    try:
        found = json.loads((run / FOLDER / INDEX).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def identity_of(run: Path) -> Mapping[str, Any]:
    """What made the newest checkpoint that tells it; nothing if none does. Its files are not checked."""
    for path in reversed(listed(run)):
        try:
            found = json.loads((path / NUMBERS).read_text("utf-8"))["identity"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(found, dict):
            return found
    return {}


def read(path: Path) -> Saved:
    """A checkpoint, every file of it checked against its size and checksum.

    Raises:
        WeightsError: a file is missing, cut short or changed, or the checkpoint is of another version.
    """
    again = "remove this checkpoint's folder: the one before it is then used"
    try:
        content = json.loads((path / NUMBERS).read_text("utf-8"))
        files, version = content["files"], content["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path / NUMBERS} cannot be read: {error}", again) from None
    if version != VERSION:
        raise WeightsError(f"{path} is a checkpoint of version {version}; this Hanlin reads {VERSION}", again)
    for name, expected in files.items():
        if not (path / name).is_file() or _sum(path / name) != expected:
            raise WeightsError(f"{path / name} is cut short or damaged", again)
    stored = safetensors.open_file(path / TENSORS) if TENSORS in files else {}
    tensors = {name: one.tensor().clone() for name, one in stored.items()}
    return Saved(
        path,
        parse(State, content["state"], f"{path.name}/{NUMBERS}"),
        _unflat(content["optimiser"], tensors),
        {name.removeprefix("run."): value for name, value in tensors.items() if name.startswith("run.")},
        content["identity"],
    )


def _flat(optimiser: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Numbers as JSON takes them, tensors by name."""
    numbers, tensors = {}, {}
    for index, entry in optimiser["state"].items():
        numbers[str(index)] = {key: value for key, value in entry.items() if not isinstance(value, Tensor)}
        tensors |= {f"{index}.{key}": value for key, value in entry.items() if isinstance(value, Tensor)}
    return {"state": numbers, "groups": optimiser["param_groups"]}, tensors


def _unflat(numbers: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    state = {int(index): dict(entry) for index, entry in numbers["state"].items()}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        if index.isdigit():
            state[int(index)][key] = tensor
    return {"state": state, "param_groups": [_tupled(group) for group in numbers["groups"]]}


def _tupled(group: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no tuples; betas are one."""
    return {key: tuple(value) if key == "betas" else value for key, value in group.items()}


def _compare(path: Path, tensors: Mapping[str, Tensor]) -> None:
    stored = safetensors.open_file(path)
    for name, tensor in tensors.items():
        if not torch.equal(_bytes(stored[name].tensor()), _bytes(tensor)):
            raise StoreError(f"{path}: {name} read back is not what was written", "check the disk")


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sum(path: Path) -> list[int]:
    """Size and CRC-32 of a file."""
    total = size = 0
    with path.open("rb") as source:
        while block := source.read(1 << 22):
            total, size = zlib.crc32(block, total), size + len(block)
    return [size, total]


def _sync(folder: Path) -> None:
    """Have the folder's entries on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _name(folder: Path, name: str, best: str | None) -> None:
    content = {"latest": name, "best": best}
    with replacing(folder / INDEX) as sink:
        sink.write(json.dumps(content).encode())


def _drop(folder: Path, name: str, keep: int) -> None:
    """Remove what is not kept. Newer ones than `name` are damaged, or the run would not stand before them."""
    older = [path.name for path in listed(folder.parent) if path.name <= name]
    kept = {index(folder.parent).get("best")} | set(older[-keep:])
    for path in listed(folder.parent):
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)
