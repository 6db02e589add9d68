"""A list of files in, the ones that make up a model out: weights (safetensors or GGUF), config, tokenizer, licence.

Pickled weights (.bin, .pt) can run code when they are read, so they are never taken; nor is any .py file.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath

from hanlin.core.errors import RefusedError, StoreError, did_you_mean, shown
from hanlin.model.store.place import inside

WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
PICKLED = re.compile(r".*\.(bin|pt|pth|ckpt|pkl|pickle)", re.I)
SPLIT = re.compile(r"(.*)-\d{5}-of-(\d{5})\.gguf")
LATER_PART = re.compile(r".*-(?!00001-)\d{5}-of-\d{5}\.gguf")
BESIDE = (
    "config.json generation_config.json tokenizer*.json tokenizer.model special_tokens_map.json added_tokens.json "
    "vocab.json vocab.txt merges.txt spiece.model *.jinja model.safetensors.index.json"
).split()
PAPERS = "README.md LICENSE* LICENCE* NOTICE* COPYING*".split()


@dataclass(frozen=True)
class Choice:
    """The files to take."""

    paths: tuple[str, ...]
    """As the source spells them."""
    base: str
    """The folder they lie under, "" or ending in `/`; it is left out in the store."""
    entry: str
    """The .gguf file, without the base; "" for a folder with safetensors."""

    def target(self, path: str) -> str:
        """Where a file of the source goes in the model's folder."""
        return path.removeprefix(self.base)


def choose(files: Iterable[str], selector: str | None, where: str) -> Choice:
    """The files that make up the model which `selector` means, or the only one there is.

    A selector is a .gguf file's name or a part of it, such as `Q4_K_M`, or a pattern with `*`.

    Raises:
        RefusedError: a path that leaves the folder; or only pickled weights.
        StoreError: no model, several to choose from, or a part of a split one is missing.
    """
    files = sorted(inside(path, where) for path in files)
    ggufs = [path for path in files if path.lower().endswith(".gguf") and not LATER_PART.fullmatch(path)]
    if selector:
        return _gguf(_selected(ggufs, selector, where), files, where)
    folders = sorted({_parent(path) for path in files if WEIGHTS.fullmatch(PurePosixPath(path).name)}, key=len)
    folders = [base for base in folders if f"{base}config.json" in files]
    if folders:
        return _folder(folders[0], files)
    if len(ggufs) == 1:
        return _gguf(ggufs[0], files, where)
    if ggufs:
        names = ", ".join(ggufs[:12]) + ("…" if len(ggufs) > 12 else "")
        raise StoreError(f"{where} has {len(ggufs)} GGUF files: {names}", f"name one: {where}:{ggufs[0]}")
    pickled = [path for path in files if PICKLED.fullmatch(path)]
    if pickled:
        fix = "take a model with .safetensors or .gguf files; many owners offer one on a branch or as NAME-GGUF"
        raise RefusedError(f"{where} has only pickled weights ({pickled[0]}): reading them can run any code", fix)
    adapters = any(path.endswith("adapter_model.safetensors") for path in files)
    fix = "name the model it was made from" if adapters else "a model has config.json and model.safetensors, or a .gguf"
    what = "is an adapter, not a model" if adapters else "has no model"
    raise StoreError(f"{where} {what}: {len(files)} files, none of them weights we read", fix)


def _folder(base: str, files: list[str]) -> Choice:
    own = [path for path in files if _parent(path) == base]
    single = f"{base}model.safetensors"
    taken = []
    for path in own:
        name = PurePosixPath(path).name
        is_weights = WEIGHTS.fullmatch(name) and (single not in own or path == single)
        is_index = name.endswith(".index.json")
        if is_weights or (any(fnmatch(name, wish) for wish in BESIDE + PAPERS) and not (is_index and single in own)):
            taken.append(path)
    return Choice(tuple(taken), base, "")


def _gguf(path: str, files: list[str], where: str) -> Choice:
    base, split = _parent(path), SPLIT.fullmatch(path)
    parts = (path,)
    if split:
        parts = tuple(f"{split[1]}-{number:05}-of-{split[2]}.gguf" for number in range(1, int(split[2]) + 1))
        missing = [part for part in parts if part not in files]
        if missing:
            raise StoreError(f"{where} lacks {missing[0]}, a part of a split GGUF", "take the model from elsewhere")
    papers = [
        other
        for other in files
        if _parent(other) == base and any(fnmatch(PurePosixPath(other).name, wish) for wish in PAPERS)
    ]
    return Choice((*parts, *papers), base, path.removeprefix(base))


def _selected(ggufs: list[str], selector: str, where: str) -> str:
    exact = [path for path in ggufs if selector in (path, PurePosixPath(path).name)]
    wish = selector.lower() if set(selector) & set("*?[") else f"*{selector.lower()}*"
    found = exact or [path for path in ggufs if fnmatch(path.lower(), wish)]
    if not found:
        raise StoreError(f"{where} has no GGUF file {shown(selector)}", did_you_mean(selector, ggufs))
    if len(found) > 1:
        names = ", ".join(found[:12]) + ("…" if len(found) > 12 else "")
        raise StoreError(
            f"{shown(selector)} means {len(found)} files of {where}: {names}", f"name one: {where}:{found[0]}"
        )
    return found[0]


def _parent(path: str) -> str:
    head, slash, _ = path.rpartition("/")
    return head + slash
