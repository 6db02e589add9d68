"""A run folder in; what training left in it out: the network, its adapter, and the record of where it comes from."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal, get_args

from hanlin.core import lineage
from hanlin.core.errors import DataError, HanlinError, RefusedError, StoreError, WeightsError
from hanlin.core.home import expanded
from hanlin.data.files import files, package
from hanlin.data.packages import is_here
from hanlin.data.settings import SourceSettings
from hanlin.model import safetensors
from hanlin.model.adapters import peft
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.load import load
from hanlin.model.store import details, find, resolve
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.report.folder import objective_name, run_settings, section, sources

ADAPTER = "adapter_config.json"
HEAD = "head.safetensors"
Float = Literal["F32", "F16", "BF16"]


@dataclass(frozen=True, eq=False)
class Trained:
    """What is exported."""

    run: Path
    folder: Path
    """Where the weights lie: RUN/model, or a checkpoint."""
    checkpoint: Checkpoint
    """Loaded in float32; an adapter is in place and not merged."""
    tokenizer: Tokenizer
    kind: Float
    """How its weights are stored: F32, F16 or BF16; F16 for a merged adapter on a quantised base."""
    settings: Mapping[str, Any]
    """run.toml as it stands."""
    is_adapter: bool
    base: str
    """Name of the model it was trained from; empty for a new one."""
    lineage: lineage.Lineage
    """Of `folder`."""


def open_trained(run: Path, which: str = "") -> Trained:
    """The model of a run.

    Args:
        run: the run folder.
        which: "model", "latest", "best" or the name of a checkpoint; empty for the final model, else the latest.

    Raises:
        StoreError: the run has no such model.
        WeightsError: its weights are damaged.
        DataError: run.toml or a record in the folder is damaged.
    """
    settings = run_settings(run)
    folder = _folder(run, which)
    is_adapter = (folder / ADAPTER).is_file()
    base = _base(folder, settings)
    source = resolve(base) if is_adapter else folder
    checkpoint = load(source)
    if is_adapter:
        peft.load(checkpoint.network, folder, section(settings, "adapter").get("base", "as_is"))
    checkpoint.network.eval().requires_grad_(False)
    if checkpoint.tokenizer is None:
        raise WeightsError(f"{source} has no tokenizer", "put its tokenizer.json beside the weights")
    return Trained(
        run=run,
        folder=folder,
        checkpoint=checkpoint,
        tokenizer=checkpoint.tokenizer,
        kind=_kind(source),
        settings=settings,
        is_adapter=is_adapter,
        base=base,
        lineage=lineage.read(folder) or recorded(run, folder, settings),
    )


def recorded(
    run: Path, folder: Path, settings: Mapping[str, Any], hashes: Mapping[str, str] | None = None
) -> lineage.Lineage:
    """Write the lineage of a run's model: its data, base and tokenizer by hash, as far as they are at hand.

    Args:
        folder: the model, or a checkpoint.
        hashes: of parents that are known by their hash alone, such as the tokens that were read.

    Raises:
        StoreError: the folder cannot be written, or a parent cannot be read.
        DataError: the lineage of a parent is damaged.
    """
    parents: dict[str, str | Path | lineage.Lineage] = dict(hashes or {})
    for part in ("train", "validation"):
        for index, source in enumerate(sources(settings, part)):
            found = _data(source)
            if found is not None:
                parents[f"data.{part}[{index}]"] = found
    own = run / "tokenizer"
    if own.is_dir() and not lineage.place(own).exists():
        lineage.record(own, "tokenizer", parents, dict(section(settings, "tokenizer")))
    base = _base(folder, settings)
    others = {"base": _at_hand(base), "tokenizer": own if own.is_dir() else None}
    parents |= {name: path for name, path in others.items() if path is not None}
    facts = {"run": str(settings.get("name", "")), "objective": objective_name(settings), "seed": settings.get("seed")}
    facts |= {"base": base} if base else {}
    return lineage.record(folder, "adapter" if (folder / ADAPTER).is_file() else "checkpoint", parents, facts)


def _data(source: str) -> Path | lineage.Lineage | None:
    """A source that is one path; of a package or a pattern the hash of its files; None if it is not at hand."""
    if not source or expanded(source).exists():
        return expanded(source) if source else None
    try:
        kind, rest = package(source)
        if kind and not is_here(kind, rest):
            return None
        paths = [file.path.absolute() for file in files(SourceSettings(path=source))]
    except DataError:
        return None
    top = os.path.commonpath([path.parent for path in paths])
    found = {path.relative_to(top).as_posix(): path for path in paths}
    # A pattern without its folders: whose machine it was is nobody's business.
    facts = {"source": source if kind else PurePath(source).name, "files": len(found)}
    return lineage.Lineage("", lineage.files_hash(found), "data", facts=facts)


def licence_of(base: str) -> str:
    """The licence of a stored model, as its source states it; empty if nobody does."""
    try:
        manifest = details(base).manifest if base else None
    except HanlinError:  # a path, or no longer in the store
        return ""
    return (manifest.licence or "") if manifest else ""


def _at_hand(name: str) -> Path | None:
    """A model that is here; one that went away is no reason not to export what came from it."""
    try:
        return find(name) if name else None
    except (StoreError, RefusedError):
        return None


def _folder(run: Path, which: str) -> Path:
    """The folder of weights that is meant."""
    checkpoints = run / "checkpoints"
    try:
        index = json.loads((checkpoints / "index.json").read_text("utf-8"))
    except FileNotFoundError:
        index = {}
    except (OSError, ValueError) as error:
        raise DataError(
            f"{checkpoints / 'index.json'} is damaged: {error}", "remove it, and name a checkpoint"
        ) from None
    index = index if isinstance(index, dict) else {}
    if which == "model" or (not which and (run / "model").is_dir()):
        found = run / "model"
    else:
        name = which or "latest"
        found = checkpoints / str(index.get(name) or name)
    if not found.is_dir():
        there = [name for name in ("latest", "best") if index.get(name)]
        there += sorted(path.name for path in checkpoints.glob("step-*"))
        has = f"it has {', '.join(there)}" if there else ""
        what = f"{run} has no {which or 'model and no checkpoint'}"
        raise StoreError(what, has or "train it first: the weights come with the first checkpoint")
    return found


def _base(folder: Path, settings: Mapping[str, Any]) -> str:
    """Name of the model that a run started from; empty for a new one.

    Raises:
        WeightsError: an adapter that does not say.
    """
    use = str(section(settings, "model").get("use", ""))
    if not (folder / ADAPTER).is_file():
        return use
    base = safetensors.read_json(folder / ADAPTER).get("base_model_name_or_path") or use
    if not isinstance(base, str) or not base:
        raise WeightsError(f"{folder / ADAPTER} names no base model", "set base_model_name_or_path in it")
    return base


def _kind(source: Path) -> Float:
    """What most of the weights are stored as."""
    if source.is_dir() and (source / "config.json").is_file():
        stored = safetensors.open_folder(source).values()
        sizes: dict[str, int] = {}
        for one in stored:
            sizes[one.dtype] = sizes.get(one.dtype, 0) + one.end - one.begin
        most = max(sizes, key=lambda kind: sizes[kind])
        return next((kind for kind in get_args(Float) if kind == most), "F32")
    return "F16"
