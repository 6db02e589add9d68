"""Names, precisions and adapters as a user gives them in; where a model lies and what computes it out. No torch."""

from pathlib import Path
from typing import Any

from hanlin.core.errors import ConfigError, WeightsError, did_you_mean, shown
from hanlin.core.home import expanded
from hanlin.model.compiled import Compiled
from hanlin.model.native import Native, load_native
from hanlin.model.plan import Bits
from hanlin.model.safetensors import read_json
from hanlin.model.store import resolve
from hanlin.model.store.sources.path import is_adapter

BITS: dict[str, Bits | None] = {"int8": 8, "int4": 4, "stored": None}
"""Weights in whole numbers, for our own kernels; "stored" are those that a GGUF file has. See `hanlin.model.native`."""
DTYPES = ("float32", "bfloat16", "float16")


def based(path: Path, adapter: str | None) -> tuple[Path, Path | None]:
    """Where the model lies and its adapter, if it has one; the model of an adapter's folder is the one it names.

    Args:
        path: where what the user named lies.
        adapter: an adapter's folder, or that of the run that trained it.

    Raises:
        ConfigError: an adapter of an adapter.
        WeightsError: there is no adapter, or it names no model.
        StoreError: its model is not here.
    """
    if not is_adapter(path):
        return path, None if adapter is None else _folder(adapter)
    if adapter is not None:
        raise ConfigError(f"{path} is an adapter, and so is {adapter}", "name the model that both change, or one")
    base = read_json(path / "adapter_config.json").get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise WeightsError(f"{path} names no model that it changes", "name the model, and this folder with --adapter")
    return resolve(base), path


def _folder(adapter: str) -> Path:
    path = expanded(adapter)
    for folder in (path, path / "model"):  # the latter is what a training run left
        if is_adapter(folder):
            return folder
    raise WeightsError(f"{path} is no adapter's folder", "name one that PEFT or hanlin train wrote")


def native(name: str, path: Path, bits: Bits | None, adapter: Path | None) -> tuple[Native, str, Compiled, Path | None]:
    """What a `Model` is made of whose weights are whole numbers; it comes from `path`, and is called `name`.

    Raises:
        ConfigError: there are no native kernels, or no codes to keep.
        WeightsError, RefusedError, TokenizerError: as `load_native`; or the adapter does not fit.
    """
    if bits is None and path.suffix != ".gguf" and not any(path.glob("*.gguf")):
        raise ConfigError(f'dtype = "stored": {name} is no GGUF file with codes to keep', 'load it with dtype="int8"')
    it, lows = load_native(path, bits=bits), None
    if adapter is not None:
        from hanlin.model.adapters import origin  # torch reads adapters; answering goes without
        from hanlin.model.adapters.beside import beside

        origin.check(path, adapter)
        lows = beside(adapter, it.plan, it.config)
    return it, name, Compiled(it.plan, it.config, it.kind, lows), adapter


def precision(dtype: Any) -> Any:
    """A torch.dtype from what a user may write.

    Raises:
        ConfigError: not one of the precisions a model can compute in.
    """
    import torch

    if dtype is None:
        return torch.float32
    name = dtype if isinstance(dtype, str) else str(dtype).removeprefix("torch.")
    if name in DTYPES and dtype in (name, getattr(torch, name)):
        return getattr(torch, name)
    raise ConfigError(
        f"dtype = {shown(dtype)} is no precision to compute in", did_you_mean(str(dtype), (*DTYPES, *BITS))
    )


def drafting(path: Path) -> Native:
    """A model that guesses for another one: as fast as it can be, with a GGUF file's codes or in bytes.

    Raises:
        ConfigError: there are no native kernels.
        WeightsError, RefusedError, TokenizerError: as `load_native`.
    """
    is_coded = path.suffix == ".gguf" or any(path.glob("*.gguf"))
    return load_native(path, bits=None if is_coded else 8)
