"""A path in, what lies there out: a model's parts, its tokenizer, and where each of its weights is stored. No torch.

Of the weights nothing is read: `hanlin.model.load` makes torch's network of them, `hanlin.model.native` the matrices of
our own kernels. Nothing in a checkpoint is ever run.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from hanlin.core.errors import RefusedError, WeightsError, did_you_mean, shown
from hanlin.core.plugins import find, names
from hanlin.model import safetensors
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.parts import Whole
from hanlin.model.safetensors import read_json
from hanlin.model.weights import Piece, pieces
from hanlin.text.folder import load_folder
from hanlin.text.gguf import from_metadata
from hanlin.text.tokenizer import Tokenizer

FAMILIES = "hanlin.model.families"
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model")
AGAIN = "fetch the model again"
INFINITE = "holds infinite weights, or weights that are not numbers"


@dataclass(frozen=True, eq=False)
class Opened:
    """A model on disk whose names and shapes are right, and of whose weights nothing was read."""

    parts: Whole
    """What it is made of."""
    family: str
    """The file in `families/` that defines it."""
    tokenizer: Tokenizer | None
    path: Path
    pieces: Mapping[str, tuple[Piece, ...]]
    """Parameters' names → the stored tensors each is made of."""
    file: GGUFFile | None = None
    """What they lie in, if it is one; of its metadata the lists are let go, which are as large as the tokenizer."""
    stored: Mapping[str, safetensors.Stored] = field(default_factory=dict)
    """The tensors of a folder."""
    generation: Mapping[str, Any] = field(default_factory=dict)
    """generation_config.json."""


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
    parts = module.parts(config)
    plan = pieces(parts, names, "hf")
    prefix = names.hf_layers.partition(".")[0] + "."
    if not any(name.startswith(prefix) for name in stored):  # saved without the head's class around it
        plan = {
            ours: tuple(piece._replace(name=piece.name.removeprefix(prefix)) for piece in made)
            for ours, made in plan.items()
        }
    head = stored.get("lm_head.weight") if config.has_tied_head else None
    check({name: it.shape for name, it in stored.items() if it is not head}, plan, names.spare, path.name)
    if head and not head.equals(stored[plan["embed.weight"][0].name]):
        raise WeightsError(
            "config.json says that the head is the embedding, and lm_head.weight is another tensor",
            "set tie_word_embeddings to false in config.json",
        )

    generation = path / "generation_config.json"
    return Opened(
        parts=parts,
        family=module.__name__.rpartition(".")[2],
        tokenizer=load_folder(path) if any((path / name).is_file() for name in TOKENIZERS) else None,
        path=path,
        pieces=plan,
        stored=stored,
        generation=read_json(generation) if generation.is_file() else {},
    )


def _opened_gguf(path: Path) -> Opened:
    file = GGUFFile.open(path)
    kind = file.metadata.get("general.architecture")
    module = family(kind if isinstance(kind, str) else "", "GGUF", path.name)
    config = module.from_gguf(file)
    names = module.names(config)
    parts = module.parts(config)
    plan = pieces(parts, names, "gguf")
    check({name: it.shape for name, it in file.tensors.items()}, plan, r"rope_(freqs|factors_\w+)\.weight", path.name)
    tokenizer = None
    if file.metadata.get("tokenizer.ggml.model", "none") != "none":
        tokenizer = from_metadata(file.metadata)
        file = replace(file, metadata={name: it for name, it in file.metadata.items() if not isinstance(it, list)})
    return Opened(
        parts=parts,
        family=module.__name__.rpartition(".")[2],
        tokenizer=tokenizer,
        path=path,
        pieces=plan,
        file=file,
    )


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
