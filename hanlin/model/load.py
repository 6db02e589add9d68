"""A path in, a `Checkpoint` out: a Hugging Face folder, a GGUF file, or a folder that holds exactly one.

Modules are made without memory, then each parameter is made once and filled in place, piece by piece, from the mapped
file: nothing is initialised first, and the weights are never in memory twice. Nothing in a checkpoint is ever run.
"""

import math
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from hanlin.core.errors import RefusedError, WeightsError, did_you_mean, shown
from hanlin.core.machine import allowed_cores
from hanlin.core.plugins import find, names
from hanlin.model import safetensors
from hanlin.model.checkpoint import Blocks, Checkpoint
from hanlin.model.config import Shape
from hanlin.model.decoder import Decoder
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.safetensors import read_json
from hanlin.model.store import resolve
from hanlin.model.store.sources.path import is_adapter
from hanlin.model.weights import Piece, pieces
from hanlin.text.folder import load_folder
from hanlin.text.gguf import from_metadata
from hanlin.text.tokenizer import Tokenizer

FAMILIES = "hanlin.model.families"
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
AGAIN = "fetch the model again"
INFINITE = "holds infinite weights, or weights that are not numbers"


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
    _fill(it, dtype, at_once=it.file is not None and dtype == torch.float32)
    quantised = it.file and {ours: tuple(_blocks(it.file, piece) for piece in made) for ours, made in it.pieces.items()}
    return Checkpoint(it.network, it.network.config, it.family, it.tokenizer, it.generation, it.path, quantised)


@dataclass(frozen=True, eq=False)
class Opened:
    """A model on disk whose names and shapes are right, and of whose weights nothing was read."""

    network: Decoder
    """Its parameters have no memory."""
    family: str
    tokenizer: Tokenizer | None
    path: Path
    pieces: Mapping[str, tuple[Piece, ...]]
    """Parameters' names → the stored tensors each is made of."""
    fill: Callable[[Mapping[str, Tensor]], None]
    """Fills tensors of parameters' shapes with their weights, by name."""
    file: GGUFFile | None = None
    """What they lie in, if it is one."""
    generation: Mapping[str, Any] = field(default_factory=dict)


def opened(path: Path) -> Opened:
    """Look at a model on disk: a Hugging Face folder, a .gguf file, or a folder that holds exactly one.

    Raises:
        WeightsError: the files are damaged, incomplete, or of a family or kind we do not carry.
        RefusedError: the checkpoint would have to run code.
        TokenizerError: its tokenizer cannot be built.
    """
    if path.is_dir():
        ggufs = sorted(path.glob("*.gguf"))
        if (path / "config.json").is_file():
            return _opened_folder(path)
        if len(ggufs) != 1:
            has = f"{len(ggufs)} .gguf files" if ggufs else "neither config.json nor a .gguf file"
            raise WeightsError(f"{path} has {has}", "name a model's folder, or one .gguf file")
        path = ggufs[0]
    elif not path.is_file():
        raise WeightsError(f"{path} is not there", "name a model's folder or a .gguf file")
    return _opened_gguf(path)


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


def family(kind: str, attribute: str, where: str) -> ModuleType:
    """The family that goes by a name: of `attribute` HF its model_type, of GGUF its architecture.

    Raises:
        WeightsError: we carry none of that name.
    """
    known = names(FAMILIES)
    for name in sorted(known, key=lambda name: name != kind):  # the file of that name first: most often it is the one
        module = find(FAMILIES, name)
        if kind in getattr(module, attribute):
            return module
    kinds = {kind for name in known for kind in getattr(find(FAMILIES, name), attribute)}
    raise WeightsError(f"{where} is of type {shown(kind)}, which is no family we carry", did_you_mean(kind, kinds))


def _opened_folder(path: Path) -> Opened:
    values = read_json(path / "config.json")
    kind = values.get("model_type")
    module = family(kind if isinstance(kind, str) else "", "HF", "config.json")
    config = module.from_hf(values)
    stored = safetensors.open_folder(_without_pickles(path))
    names = module.names(config)
    network = _hollow(module, config)
    plan = pieces(network, names, "hf")
    prefix = names.hf_layers.partition(".")[0] + "."
    if not any(name.startswith(prefix) for name in stored):  # saved without the head's class around it
        plan = {
            ours: tuple(piece._replace(name=piece.name.removeprefix(prefix)) for piece in made)
            for ours, made in plan.items()
        }
    head = stored.get("lm_head.weight") if config.has_tied_head else None
    check({name: it.shape for name, it in stored.items() if it is not head}, plan, names.spare, path.name)
    if head and not torch.equal(head.tensor(), stored[plan["embed.weight"][0].name].tensor()):
        raise WeightsError(
            "config.json says that the head is the embedding, and lm_head.weight is another tensor",
            "set tie_word_embeddings to false in config.json",
        )

    def filled(made: Mapping[str, Tensor]) -> None:
        for ours, out in made.items():
            for piece in plan[ours]:
                stored[piece.name].copy_to(out[piece.rows], is_turned=piece.is_turned)

    generation = path / "generation_config.json"
    return Opened(
        network=network,
        family=module.__name__.rpartition(".")[2],
        tokenizer=load_folder(path) if any((path / name).is_file() for name in TOKENIZERS) else None,
        path=path,
        pieces=plan,
        fill=filled,
        generation=read_json(generation) if generation.is_file() else {},
    )


def _opened_gguf(path: Path) -> Opened:
    file = GGUFFile.open(path)
    kind = file.metadata.get("general.architecture")
    module = family(kind if isinstance(kind, str) else "", "GGUF", path.name)
    config = module.from_gguf(file)
    network = _hollow(module, config)
    names = module.names(config)
    plan = pieces(network, names, "gguf")
    check({name: it.shape for name, it in file.tensors.items()}, plan, r"rope_(freqs|factors_\w+)\.weight", path.name)
    threads = allowed_cores().count

    def filled(made: Mapping[str, Tensor]) -> None:
        wide = {ours: out if out.dtype == torch.float32 else torch.empty(out.shape) for ours, out in made.items()}
        matrices = [
            (piece, wide[ours][piece.rows].numpy()) for ours in made for piece in plan[ours] if len(piece.shape) > 1
        ]
        file.fill([(piece.name, rows, piece.order) for piece, rows in matrices], threads)
        for ours, out in made.items():
            for piece in plan[ours]:
                if len(piece.shape) == 1:
                    stored = torch.from_numpy(file.float32(piece.name))
                    wide[ours][piece.rows] = (stored if piece.order is None else stored[piece.order]) - piece.added
            if out is not wide[ours]:
                out.copy_(wide[ours])

    return Opened(
        network=network,
        family=module.__name__.rpartition(".")[2],
        tokenizer=from_metadata(file.metadata) if file.metadata.get("tokenizer.ggml.model", "none") != "none" else None,
        path=path,
        pieces=plan,
        fill=filled,
        file=file,
    )


def _blocks(file: GGUFFile, piece: Piece) -> Blocks:
    return Blocks(file.info(piece.name).type, file.blocks(piece.name), piece.rows, piece.order)


def _hollow(module: ModuleType, config: Shape) -> Decoder:
    """The network, its parameters without memory."""
    with torch.device("meta"), _Bare():
        return module.Model(config).eval()


class _Bare(TorchFunctionMode):
    """Initialises nothing: on parameters without memory a single `normal_` costs 1.5 s of imports inside torch."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What `func` gives, unless it is one of torch.nn.init's."""
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return given.get("tensor", args[0] if args else None)
        return func(*args, **given)


def check(stored: Mapping[str, tuple[int, ...]], plan: Mapping[str, tuple[Piece, ...]], spare: str, where: str) -> None:
    """The tensors that are stored are those the network is made of, in the same shapes.

    Args:
        spare: what the names of tensors end in that may be there and are no weights; a regular expression.

    Raises:
        WeightsError: some are missing, unexpected or of another shape; the message names them.
    """
    wanted = {piece.name: piece.shape for made in plan.values() for piece in made}
    missing = [name for name in wanted if name not in stored]
    if missing:
        raise WeightsError(f"{where} lacks {_named(missing)}", AGAIN)
    surplus = [name for name in stored if name not in wanted and not re.search(f"(?:{spare})$", name)]
    if surplus:
        raise WeightsError(
            f"{where} has {_named(surplus)}, which a model of this config has no place for",
            "the config and the weights are of different models",
        )
    for name, shape in wanted.items():
        if stored[name] != shape:
            raise WeightsError(
                f"{where}: tensor {shown(name)} has shape {list(stored[name])}; the config asks for {list(shape)}",
                "the config and the weights are of different models",
            )


def _named(tensors: list[str]) -> str:
    more = f" and {len(tensors) - 1} more" if len(tensors) > 1 else ""
    return f"the tensor {shown(tensors[0])}{more}"


def _fill(it: Opened, dtype: torch.dtype, *, at_once: bool) -> None:
    """Make the parameters, have them filled one by one or all at once, and look for numbers that are none."""
    made = {}
    for name, parameter in it.network.named_parameters():
        made[name] = torch.empty(parameter.shape, dtype=dtype)
        if not at_once:
            it.fill({name: made[name]})
    if at_once:
        it.fill(made)
    with ThreadPoolExecutor(allowed_cores().count) as pool:
        are_finite = list(pool.map(is_finite, made.values()))
    for name, is_sound in zip(made, are_finite, strict=True):
        if not is_sound:
            raise WeightsError(f"{it.path.name}: {name} {INFINITE}", AGAIN)
    it.network.load_state_dict(made, assign=True)


def is_finite(weights: Tensor) -> bool:
    """All are finite. One sum tells, at the speed of memory; only if it overflows is each one looked at."""
    with np.errstate(all="ignore"):
        total = np.add.reduce(weights.numpy().ravel()) if weights.dtype == torch.float32 else weights.float().sum()
    return math.isfinite(total) or bool(weights.isfinite().all())


def _without_pickles(path: Path) -> Path:
    """The folder, if it has other weights than pickles.

    Raises:
        RefusedError: it has not.
    """
    pickles = [file.name for kind in ("*.bin", "*.pt", "*.pth") for file in sorted(path.glob(kind))]
    if pickles and not any(path.glob("*.safetensors")):
        raise RefusedError(
            f"{path} has its weights in {pickles[0]}, a pickle: opening one can run anything",
            "take a version of this model with .safetensors files, or convert it where you trust it",
        )
    return path
