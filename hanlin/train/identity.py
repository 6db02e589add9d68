"""What makes two runs the same: their settings, data, tokenizer and code. A resume compares them, key by key."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

import hanlin
from hanlin.core.settings import Settings

INDIFFERENT = (
    "name",
    "out",
    "gate",
    "data.cache",
    "train.keep",
    "train.rows",
    "train.save_every",
    "train.sample_every",
    "train.threads",
    "train.samples",
    "train.sharding",
)
"""Settings that change nothing a model learns."""
ROOMS = ("text", "data", "model", "infer", "train")


def identity(settings: Settings, data: str, tokenizer: str) -> dict[str, Any]:
    """What a checkpoint remembers of the run that made it; plain JSON.

    Args:
        data: hash of the tokens trained and validated on.
        tokenizer: hash of the tokenizer.
    """
    return {
        "settings": dict(sorted(_leaves(settings.model_dump(mode="json"), ""))),
        "data": data,
        "tokenizer": tokenizer,
        "code": code_hash(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """`(what makes it another run, what may cost the last bit)`, each a sentence."""
    before, after = learnt(old), learnt(new)
    other = [
        f"{key} was {before.get(key)!r}, is {after.get(key)!r}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]
    other += [f"the {what} is another" for what in ("data", "tokenizer") if old[what] != new[what]]
    bits = [f"{key} was {old[key]}, is {new[key]}" for key in ("code", "torch", "threads") if old[key] != new[key]]
    return other, bits


def learnt(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that change what is learnt."""
    return {key: value for key, value in identity["settings"].items() if not key.startswith(INDIFFERENT)}


@cache
def code_hash() -> str:
    """SHA-256, shortened, of the source files that a training run depends on."""
    total = hashlib.sha256()
    package = Path(hanlin.__file__).parent
    for file in sorted(path for room in ROOMS for path in (package / room).rglob("*.py")):
        total.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:16]


def _leaves(values: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
