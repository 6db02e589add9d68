"""A model's files in; how many weights each of its parts has, of which types, in how many bytes, out. None is read.

Parts are told by the tensors' names, which Hugging Face and GGUF spell differently and every family alike.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path

from hanlin.cli.vocabulary import gguf_in

PARTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("norms", re.compile(r"norm|\.ln_\w+\.|^ln_f|\bln_f\b")),
    ("experts", re.compile(r"expert|_exps?\b|_shexp|ffn_gate_inp|mlp\.gate\.")),
    ("attention", re.compile(r"attn|attention")),
    ("mlp", re.compile(r"mlp|ffn|feed_forward")),
    ("head", re.compile(r"^output\.|lm_head")),
    ("embedding", re.compile(r"embd|embed|\bwte\b|\bwpe\b")),
)
"""Tried in this order: a norm of attention is a norm."""


@dataclass(frozen=True)
class Weights:
    """One tensor, as its file's header describes it."""

    name: str
    shape: tuple[int, ...]
    type: str
    bytes: int

    @property
    def count(self) -> int:
        """Numbers in it."""
        return prod(self.shape)


def weights_in(path: Path) -> list[Weights]:
    """Every tensor of a model that lies in a .gguf file or a folder of safetensors.

    Raises:
        WeightsError: there are none, or a header is damaged.
    """
    if (gguf := gguf_in(path)) is not None:
        from hanlin.model.gguf.read import GGUFFile

        tensors = GGUFFile.open(gguf).tensors.values()
        return [Weights(info.name, info.shape, info.type.name, info.bytes) for info in tensors]
    from hanlin.model.safetensors import open_folder

    stored = open_folder(path).values()
    return [Weights(one.name, one.shape, one.dtype, one.end - one.begin) for one in stored]


def part_of(name: str) -> str:
    """The part of a model that a tensor belongs to: embedding, attention, mlp, experts, norms, head or other."""
    return next((part for part, pattern in PARTS if pattern.search(name)), "other")


def parts(weights: Iterable[Weights]) -> dict[str, int]:
    """How many numbers each part has, in the order in which a token passes them."""
    counts: dict[str, int] = dict.fromkeys(("embedding", "attention", "mlp", "experts", "norms", "head", "other"), 0)
    for one in weights:
        counts[part_of(one.name)] += one.count
    return {part: count for part, count in counts.items() if count}


def mix(weights: Iterable[Weights]) -> list[dict[str, int | str]]:
    """The types weights are stored in: tensors, numbers and bytes of each, the largest first."""
    rows: dict[str, list[int]] = {}
    for one in weights:
        row = rows.setdefault(one.type, [0, 0, 0])
        for place, more in enumerate((1, one.count, one.bytes)):
            row[place] += more
    ordered = sorted(rows.items(), key=lambda item: -item[1][2])
    return [{"type": kind, "tensors": row[0], "weights": row[1], "bytes": row[2]} for kind, row in ordered]
