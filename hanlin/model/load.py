"""A path in, a `Checkpoint` out: a Hugging Face folder, a GGUF file, or a folder that holds exactly one.

Modules are made without memory, then each parameter is made once and filled in place, piece by piece, from the mapped
file: nothing is initialised first, and the weights are never in memory twice. Nothing in a checkpoint is ever run.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from hanlin.core.errors import WeightsError
from hanlin.core.machine import allowed_cores
from hanlin.model.checkpoint import Blocks, Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.fill import fill_gguf
from hanlin.model.fill import is_finite as is_all_finite
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.opened import AGAIN, INFINITE, Opened, opened
from hanlin.model.parts import Whole
from hanlin.model.safetensors import read_json
from hanlin.model.store import resolve
from hanlin.model.store.sources.path import is_adapter
from hanlin.model.weights import Piece

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def load(path: Path, dtype: torch.dtype | None = None) -> Checkpoint:
    """Read a model from disk.

    Args:
        path: a Hugging Face folder, a .gguf file, a folder that holds exactly one, or an adapter's folder: the model it
            names is loaded from the store, and changed by it.
        dtype: float32 (the default, whatever the file stores), bfloat16 or float16.

    Raises:
        WeightsError: the files are damaged, incomplete, or of a family or kind we do not carry.
        StoreError: the model that an adapter names is not there.
        RefusedError: the checkpoint would have to run code.
        TokenizerError: its tokenizer cannot be built.
    """
    dtype = dtype or torch.float32
    if dtype not in DTYPES:
        raise WeightsError(f"{dtype} is no precision to compute in", f"one of {', '.join(map(str, DTYPES))}")
    if is_adapter(path):
        return _load_adapted(path, dtype)
    it = opened(path)
    network = _hollow(it.parts)
    _fill(network, it, dtype)
    quantised = it.file and {ours: tuple(_blocks(it.file, piece) for piece in made) for ours, made in it.pieces.items()}
    return Checkpoint(network, network.config, it.family, it.tokenizer, it.generation, it.path, quantised)


def _load_adapted(path: Path, dtype: torch.dtype) -> Checkpoint:
    from hanlin.model.adapters import peft  # it is built on what this file knows

    base = read_json(path / peft.CONFIG).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise WeightsError(
            f"{path} names no model that it changes", "merge it where you know: hanlin merge MODEL ADAPTER"
        )
    checkpoint = load(resolve(base), dtype)
    peft.load(checkpoint.network, path)
    checkpoint.network.eval()
    return replace(checkpoint, path=path, quantised=None)


def _blocks(file: GGUFFile, piece: Piece) -> Blocks:
    return Blocks(file.info(piece.name).type, file.blocks(piece.name), piece.rows, piece.order)


def _hollow(parts: Whole) -> Decoder:
    """The network, its parameters without memory."""
    with torch.device("meta"), _Bare():
        return Decoder(parts).eval()


class _Bare(TorchFunctionMode):
    """Initialises nothing: on parameters without memory a single `normal_` costs 1.5 s of imports inside torch."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What `func` gives, unless it is one of torch.nn.init's."""
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return given.get("tensor", args[0] if args else None)
        return func(*args, **given)


def _fill(network: Decoder, it: Opened, dtype: torch.dtype) -> None:
    """Make the parameters, fill them, and look for numbers that are none."""
    cores = allowed_cores().count
    shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
    if it.file is not None and dtype == torch.float32:
        made = {name: torch.empty(shape) for name, shape in shapes.items()}
        fill_gguf(it, {name: out.numpy() for name, out in made.items()}, cores)
    else:
        made = {name: _filled(it, name, torch.empty(shape, dtype=dtype), cores) for name, shape in shapes.items()}
    with ThreadPoolExecutor(cores) as pool:
        are_finite = list(pool.map(is_finite, made.values()))
    for name, is_sound in zip(made, are_finite, strict=True):
        if not is_sound:
            raise WeightsError(f"{it.path.name}: {name} {INFINITE}", AGAIN)
    network.load_state_dict(made, assign=True)


def _filled(it: Opened, name: str, out: Tensor, cores: int) -> Tensor:
    if it.file is not None:
        wide = np.empty(out.shape, np.float32)
        fill_gguf(it, {name: wide}, cores)
        return out.copy_(torch.from_numpy(wide))
    for piece in it.pieces[name]:
        it.stored[piece.name].copy_to(out[piece.rows], is_turned=piece.is_turned)
    return out


def is_finite(weights: Tensor) -> bool:
    """All are finite; see `hanlin.model.fill.is_finite`."""
    if weights.dtype == torch.float32:
        return is_all_finite(weights.numpy())
    return math.isfinite(float(weights.float().sum())) or bool(weights.isfinite().all())
