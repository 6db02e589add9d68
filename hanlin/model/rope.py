"""Rotary positions: a `Rope` in, cosines and sines per position out; and how the formats write it down.

Each pair (first half, second half) of a head turns by an angle that grows with its position, at a speed of its own
(https://arxiv.org/abs/2104.09864). The kinds stretch the speeds for contexts longer than trained for: linear, dynamic
(NTK), llama3, yarn (https://arxiv.org/abs/2309.00071) and longrope (https://arxiv.org/abs/2402.13753).
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float32

from hanlin.core.errors import RefusedError, WeightsError, did_you_mean, shown
from hanlin.core.settings import Settings
from hanlin.model.gguf.read import GGUFFile
from hanlin.model.keys import Keys

AT_ONCE = 1024
"""Positions whose float64 stays in the processor's cache."""
Kind = Literal["default", "linear", "dynamic", "llama3", "yarn", "longrope"]


class Rope(Settings):
    """How positions turn queries and keys."""

    kind: Kind = "default"
    """How the speeds are stretched."""
    base: float = 10_000.0
    """The slowest pair turns about once in 2π · base positions."""
    factor: float = 1.0
    """How many times longer the stretched context is."""
    trained: int = 0
    """Context before stretching (llama3, yarn, longrope)."""
    low: float = 1.0
    """llama3: pairs that turn fewer times than this in `trained` positions are slowed by the whole factor."""
    high: float = 4.0
    """llama3: pairs that turn more often keep their speed."""
    fast: float = 32.0
    """yarn: pairs that turn more often than this in `trained` positions keep their speed."""
    slow: float = 1.0
    """yarn: pairs that turn fewer times are slowed by the whole factor."""
    is_rounded: bool = True
    """yarn: the borders of the ramp between the two are whole numbers."""
    scale: float = 1.0
    """yarn, longrope: cosines and sines are multiplied by it."""
    short: tuple[float, ...] = ()
    """longrope: how much slower each pair turns within `trained` positions."""
    long: tuple[float, ...] = ()
    """longrope: the same beyond them."""


class Waves:
    """Cosines for positions 0 to `span`, of each pair, and beside them the sines; made when they are first reached.

    Two kinds depend on how long the text gets: dynamic stretches beyond `context`, longrope changes beyond `trained`.
    Whoever caches keys asks once for the cache's whole length, so that no stored key turns stale.
    """

    def __init__(self, rope: Rope, head_width: int, context: int, span: int) -> None:
        self.speed, self.scale = speeds(rope, head_width, context, span), np.float32(rope.scale)
        self.table: Float32[np.ndarray, "S E"] = np.empty((span, head_width), np.float32)
        """Memory that is not touched is not taken."""
        self.made = 0
        """Of which so many rows are there."""

    def reach(self, end: int) -> None:
        """Make all before this position."""
        half = len(self.speed)
        for first in range(self.made, end, AT_ONCE):
            some = self.table[first : first + AT_ONCE]
            angle = np.arange(first, first + len(some), dtype=np.float32)[:, None] * self.speed
            wide = angle.astype(np.float64)  # rounded from there they are the same on nearly every machine
            some[:, :half], some[:, half:] = np.cos(wide), np.sin(wide)
            some *= self.scale
            self.made = first + len(some)


def waves(rope: Rope, head_width: int, context: int, span: int) -> Float32[np.ndarray, "S E"]:
    """The whole table of `Waves`."""
    made = Waves(rope, head_width, context, span)
    made.reach(span)
    return made.table


def speeds(rope: Rope, head_width: int, context: int, span: int) -> Float32[np.ndarray, " pairs"]:
    """Radians per position of each pair, when `span` positions are in use."""
    pairs = np.arange(0, head_width, 2, dtype=np.float32) / np.float32(head_width)

    def power(base: float) -> Float32[np.ndarray, " pairs"]:
        return np.power(base, pairs.astype(np.float64)).astype(np.float32)

    if rope.kind == "dynamic" and span > context:
        grown = rope.base * (rope.factor * span / context - (rope.factor - 1)) ** (head_width / (head_width - 2))
        return np.float32(1) / power(grown)
    if rope.kind == "longrope":
        slowed = np.array(rope.long if span > rope.trained else rope.short, np.float32)
        return np.float32(1) / (slowed * power(rope.base))
    plain = np.float32(1) / power(rope.base)
    if rope.kind == "linear":
        return plain / np.float32(rope.factor)
    if rope.kind == "llama3":
        return _llama3(rope, plain)
    if rope.kind == "yarn":
        kept = _yarn_kept(rope, head_width)
        return plain / np.float32(rope.factor) * (1 - kept) + plain * kept
    return plain


def _llama3(rope: Rope, plain: Float32[np.ndarray, " pairs"]) -> Float32[np.ndarray, " pairs"]:
    """Fast pairs as they are, slow ones slowed, those between mixed by how often they turn."""
    rounds = rope.trained * plain / np.float32(2 * math.pi)
    kept = ((rounds - np.float32(rope.low)) / np.float32(rope.high - rope.low)).clip(0, 1)
    return (1 - kept) * plain / np.float32(rope.factor) + kept * plain


def _yarn_kept(rope: Rope, head_width: int) -> Float32[np.ndarray, " pairs"]:
    """How much of its speed each pair keeps: 1 for those before the ramp, 0 for those after."""

    def pair(rounds: float) -> float:
        return head_width * math.log(rope.trained / (rounds * 2 * math.pi)) / (2 * math.log(rope.base))

    low, high = pair(rope.fast), pair(rope.slow)
    if rope.is_rounded:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, head_width - 1)
    ramp = (np.arange(head_width // 2, dtype=np.float32) - np.float32(low)) / np.float32(high - low or 0.001)
    return 1 - ramp.clip(0, 1)


def from_hf(keys: Keys, context: int) -> Rope:
    """The rope of a config.json: `rope_parameters` as Transformers 5 writes it, or `rope_theta` and `rope_scaling`.

    Raises:
        WeightsError: a kind or a key we do not know.
    """
    base = keys.get("rope_theta", float, 10_000.0)
    trained = keys.get("original_max_position_embeddings", int, None)
    name = "rope_scaling" if keys.values.get("rope_scaling") else "rope_parameters"
    values = keys.get(name, dict, {})
    keys.read |= {"rope_scaling", "rope_parameters"}
    return read_table(values, f"{keys.where}: {name}", base, context, trained)


def read_table(values: Mapping[str, Any], where: str, base: float, context: int, trained: int | None = None) -> Rope:
    """One table of Transformers' rope parameters; `base` and `trained` are what stands outside of it.

    Raises:
        WeightsError: a kind or a key we do not know.
    """
    keys = Keys(values, where)
    kind = keys.get("rope_type", str, None) or keys.get("type", str, "default")
    keys.read |= {"rope_type", "type"}
    if kind not in get_args(Kind):
        raise WeightsError(f"{where}: rope_type = {shown(kind)} is not handled", did_you_mean(kind, get_args(Kind)))
    found: dict[str, Any] = {"kind": kind, "base": keys.get("rope_theta", float, base)}
    if keys.get("partial_rotary_factor", float, 1.0) != 1:
        raise keys.wrong("partial_rotary_factor", "where we carry models whose whole heads turn")
    if kind in ("linear", "dynamic", "llama3"):
        found["factor"] = keys.need("factor", float)
    if kind in ("llama3", "yarn", "longrope"):
        inside = keys.get("original_max_position_embeddings", int, context)
        found["trained"] = trained or inside
    if kind == "llama3":
        found |= {"low": keys.need("low_freq_factor", float), "high": keys.need("high_freq_factor", float)}
    if kind in ("yarn", "longrope"):
        factor = keys.get("factor", float, context / found["trained"])
        found["scale"] = keys.get("attention_factor", float, None) or _scale(kind, keys, factor, found["trained"])
        if kind == "yarn":
            found |= {"factor": factor, "is_rounded": keys.get("truncate", bool, True)}
            found |= {"fast": keys.get("beta_fast", float, 32.0), "slow": keys.get("beta_slow", float, 1.0)}
        else:
            found |= {"short": keys.need("short_factor", list), "long": keys.need("long_factor", list)}
    keys.close({})
    return Rope.model_validate(found)


def _scale(kind: str, keys: Keys, factor: float, trained: int) -> float:
    """What the papers recommend where the config leaves it open."""
    upper, lower = keys.get("mscale", float, None), keys.get("mscale_all_dim", float, None)
    if factor <= 1:
        return 1.0
    if kind == "longrope":
        return math.sqrt(1 + math.log(factor) / math.log(trained))
    if upper and lower:
        return (0.1 * upper * math.log(factor) + 1) / (0.1 * lower * math.log(factor) + 1)
    return 0.1 * math.log(factor) + 1


def to_hf(rope: Rope) -> dict[str, Any]:
    """Transformers' `rope_parameters`."""
    table: dict[str, Any] = {"rope_type": rope.kind, "rope_theta": rope.base}
    if rope.kind in ("linear", "dynamic", "llama3", "yarn"):
        table["factor"] = rope.factor
    if rope.kind in ("llama3", "yarn", "longrope"):
        table["original_max_position_embeddings"] = rope.trained
    if rope.kind == "llama3":
        table |= {"low_freq_factor": rope.low, "high_freq_factor": rope.high}
    if rope.kind in ("yarn", "longrope"):
        table["attention_factor"] = rope.scale
    if rope.kind == "yarn":
        table |= {"beta_fast": rope.fast, "beta_slow": rope.slow, "truncate": rope.is_rounded}
    if rope.kind == "longrope":
        table |= {"short_factor": list(rope.short), "long_factor": list(rope.long)}
    return table


def from_gguf(keys: Keys, arch: str, context: int, file: GGUFFile) -> Rope:
    """The rope of a GGUF file. Slowing factors per pair, which llama3 and longrope have, stand in tensors of their own.

    Raises:
        WeightsError: a kind we do not know.
    """
    base = keys.get(f"{arch}.rope.freq_base", float, 10_000.0)
    kind = keys.get(f"{arch}.rope.scaling.type", str, "none")
    factor = keys.get(f"{arch}.rope.scaling.factor", float, 1.0)
    trained = keys.get(f"{arch}.rope.scaling.original_context_length", int, context)
    extra = keys.get(f"{arch}.rope.scaling.attn_factor", float, 1.0)
    fast, slow = (keys.get(f"{arch}.rope.scaling.yarn_beta_{end}", float, None) for end in ("fast", "slow"))
    keys.read.add(f"{arch}.rope.scaling.finetuned")
    if kind in ("none", "linear", "default") and "rope_freqs.weight" in file.tensors:
        slowed = tuple(map(float, file.float32("rope_freqs.weight")))
        return Rope(kind="longrope", base=base, trained=context, short=slowed, long=slowed)
    if kind == "longrope":
        short, long = (tuple(map(float, file.float32(f"rope_factors_{end}.weight"))) for end in ("short", "long"))
        return Rope(kind="longrope", base=base, trained=trained, scale=extra, short=short, long=long)
    if kind == "yarn":
        scale = extra * (0.1 * math.log(max(factor, 1)) + 1)
        return Rope(
            kind="yarn", base=base, factor=factor, trained=trained, scale=scale, fast=fast or 32, slow=slow or 1
        )
    if kind == "linear" and factor != 1:
        return Rope(kind="linear", base=base, factor=factor)
    if kind not in ("none", "linear", "default"):
        raise keys.wrong(f"{arch}.rope.scaling.type", "a kind we do not carry")
    return Rope(base=base)


def to_gguf(rope: Rope, arch: str, head_width: int) -> tuple[dict[str, Any], dict[str, Float32[np.ndarray, " pairs"]]]:
    """GGUF's keys and tensors for a rope.

    Raises:
        RefusedError: llama.cpp cannot compute it.
    """
    keys: dict[str, Any] = {f"{arch}.rope.freq_base": rope.base, f"{arch}.rope.dimension_count": head_width}
    tensors: dict[str, Float32[np.ndarray, " pairs"]] = {}
    scaling = f"{arch}.rope.scaling"
    if rope.kind == "dynamic" or (rope.kind == "yarn" and not rope.is_rounded):
        raise RefusedError(f"GGUF has no way to say rope_type = {rope.kind!r} as this model means it", _FOLDER)
    if rope.kind in ("llama3", "longrope") and arch != "llama":
        raise RefusedError(f"llama.cpp ignores rope_type = {rope.kind!r} in models of type {arch}", _FOLDER)
    if rope.kind == "linear":
        keys |= {f"{scaling}.type": "linear", f"{scaling}.factor": rope.factor}
    elif rope.kind == "yarn":
        keys |= {f"{scaling}.type": "yarn", f"{scaling}.factor": rope.factor}
        keys |= {f"{scaling}.original_context_length": rope.trained}
        keys |= {f"{scaling}.yarn_beta_fast": rope.fast, f"{scaling}.yarn_beta_slow": rope.slow}
        keys[f"{scaling}.attn_factor"] = rope.scale / (0.1 * math.log(max(rope.factor, 1)) + 1)
    elif rope.kind == "llama3":
        plain = speeds(Rope(base=rope.base), head_width, 0, 0)
        tensors["rope_freqs.weight"] = plain / speeds(rope, head_width, 0, 0)
    elif rope.kind == "longrope" and rope.short == rope.long and rope.scale == 1:
        tensors["rope_freqs.weight"] = np.array(rope.short, np.float32)
    elif rope.kind == "longrope":
        keys |= {f"{scaling}.type": "longrope", f"{scaling}.attn_factor": rope.scale}
        keys |= {f"{scaling}.original_context_length": rope.trained}
        tensors["rope_factors_short.weight"] = np.array(rope.short, np.float32)
        tensors["rope_factors_long.weight"] = np.array(rope.long, np.float32)
    return keys, tensors


_FOLDER = "save it as a Hugging Face folder instead"
