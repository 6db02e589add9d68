"""A network with adapters in, PEFT's folder out, and back: adapter_config.json and adapter_model.safetensors.

Names are PEFT's: `base_model.model.` before, `.lora_A.weight` after Hugging Face's name of the map. Which maps have an
addition is read from the tensors; the config tells ranks and scales. Nothing in a folder is ever run.

Reference: https://huggingface.co/docs/peft/main/en/developer_guides/checkpoint
"""

import json
import re
from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import Any, Literal

import torch

from hanlin.core.errors import RefusedError, StoreError, WeightsError, shown
from hanlin.core.run import replacing
from hanlin.model import safetensors
from hanlin.model.adapters import origin
from hanlin.model.adapters.adapted import Block, adapted
from hanlin.model.adapters.config import AGAIN, CONFIG, WHOLE, Known, read
from hanlin.model.adapters.lora import TARGETS, attach, maps, names_of, targets_of
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.blocks import Linear
from hanlin.model.decoder import Decoder
from hanlin.model.safetensors import Stored
from hanlin.model.weights import pieces

WEIGHTS, PICKLE = "adapter_model.safetensors", "adapter_model.bin"
FRONT = "base_model.model."
PARTS = {"a": "lora_A.weight", "b": "lora_B.weight", "magnitude": "lora_magnitude_vector"}
OURS = {theirs: ours for ours, theirs in PARTS.items()}
NAME = re.compile(r"base_model\.model\.(.+)\.(lora_A\.weight|lora_B\.weight|lora_magnitude_vector)(?:\.weight)?")


def save(network: Decoder, path: Path, base: str, settings: AdapterSettings) -> None:
    """Write a folder that PEFT and `load` read.

    Args:
        base: the name or path of the model the adapter belongs to.
        settings: those the adapter was made or loaded with.

    Raises:
        RefusedError: the network has no adapters.
        CapacityError: the disk is full.
        StoreError: the folder cannot be written.
    """
    tensors, blocks = [], []
    for module in adapted(network).values():
        for block, own in module.additions():
            tensors += [(f"{FRONT}{block.name}.{PARTS[part]}", weight) for part, weight in own.items()]
            blocks.append(block)
    if not blocks:
        raise RefusedError("this network has no adapter to save", "add one, or save the model itself")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be made: {error.strerror}", "choose another folder") from None
    safetensors.write(path / WEIGHTS, sorted(tensors, key=lambda it: it[0]))
    origin.write(network, path, base)
    with replacing(path / CONFIG) as sink:
        sink.write(json.dumps(_config(network, blocks, base, settings), indent=2, ensure_ascii=False).encode() + b"\n")


def _config(network: Decoder, blocks: list[Block], base: str, settings: AdapterSettings) -> dict[str, Any]:
    alphas = {}
    for block in blocks:
        alpha = block.scale * (sqrt(block.rank) if settings.is_rank_stabilised else block.rank)
        alphas[block.name] = _short(round(alpha, 6))
    alpha = _short(settings.alpha)
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": settings.rank,
        "lora_alpha": alpha,
        "lora_dropout": settings.dropout,
        "use_rslora": settings.is_rank_stabilised,
        "use_dora": any(module.is_dora for module in adapted(network).values()),
        "bias": "none",
        "fan_in_fan_out": bool(names_of(network).turned),
        "inference_mode": True,
        "target_modules": _targets(network, {block.name for block in blocks}),
        "rank_pattern": {block.name: block.rank for block in blocks if block.rank != settings.rank},
        "alpha_pattern": {name: it for name, it in alphas.items() if it != alpha},
    }


def _short(number: float | int) -> float | int:  # noqa: PYI041  beartype takes no int for a float
    return int(number) if number == int(number) else number


def _targets(network: Decoder, chosen: set[str]) -> list[str]:
    """The shortest ends of names that mean the chosen maps and no others."""
    stored = pieces(network.parts, names_of(network), "hf")
    others = {name for module in adapted(network).values() for name in module.others}
    for name, module in network.layers.named_modules(prefix="layers"):
        if isinstance(module, Linear) and f"{name}.weight" in stored:
            others |= {piece.name.removesuffix(".weight") for piece in stored[f"{name}.weight"]}
    others -= chosen
    found = set()
    for name in chosen:
        words = name.split(".")
        ends = (".".join(words[-count:]) for count in range(1, len(words) + 1))
        found.add(next(end for end in ends if not any(other.endswith(f".{end}") for other in others)))
    return sorted(found)


def load(network: Decoder, path: Path, base: Literal["as_is", "int8", "int4"] = "as_is") -> AdapterSettings:
    """Freeze a network and give it the additions of a folder, ours or PEFT's own; it is left alone if they do not fit.

    Args:
        base: how to keep the frozen weights, as in AdapterSettings.

    Raises:
        WeightsError: the folder is damaged, or its tensors do not fit this network; the message names one.
        RefusedError: it needs what we do not carry, is a pickle, was trained on other weights, or the network has
            adapters already.
        ConfigError: rows that blocks of quantised weights cannot fill.
    """
    stored = opened_files(path)
    parts = by_map(stored, path)
    known = read(path, parts)
    there = {block.name: block for _, blocks in maps(network) for block in blocks}
    for name, tensors in parts.items():
        if name not in there:
            what = f"{path} changes {shown(name, 200)}, which this model does not have"
            raise WeightsError(what, "it belongs to another base: give it that one")
        check_fits(name, tensors, there[name], known, path)
    origin.check(network, path)

    def chosen(block: Block) -> Block | None:
        is_there = block.name in parts
        return block._replace(rank=known.rank(block.name), scale=known.scale(block.name)) if is_there else None

    settings = known.settings
    attach(network, chosen, torch.Generator(), settings.use == "dora", settings.dropout, base)
    with torch.no_grad():
        for module in adapted(network).values():
            for block, own in module.additions():
                for part, weight in own.items():
                    weight.copy_(parts[block.name][part].tensor())
    targets = {target for name in parts for target in targets_of(there[name])}
    return settings.model_copy(update={"targets": tuple(it for it in TARGETS if it in targets), "base": base})


def opened_files(path: Path) -> dict[str, Stored]:
    """The tensors of an adapter's folder."""
    if not (path / CONFIG).is_file():
        raise WeightsError(f"{path} has no {CONFIG}", "name an adapter's folder, as PEFT or hanlin train writes it")
    if (path / WEIGHTS).is_file():
        return safetensors.open_file(path / WEIGHTS)
    if (path / PICKLE).is_file():
        what = f"{path} has its weights in {PICKLE}, a pickle: opening one can run anything"
        raise RefusedError(what, "load it with PEFT where you trust it; its save_pretrained writes .safetensors")
    raise WeightsError(f"{path} has no {WEIGHTS}", AGAIN)


def by_map(stored: Mapping[str, Stored], path: Path) -> dict[str, dict[str, Stored]]:
    """Tensors by the map they belong to, and by what they are."""
    found: dict[str, dict[str, Stored]] = {}
    for name, tensor in stored.items():
        match = NAME.fullmatch(name)
        if match is None:
            raise RefusedError(f"{path}: tensor {shown(name, 200)} is no part of a linear map's LoRA", WHOLE)
        found.setdefault(match[1], {})[OURS[match[2]]] = tensor
    if not found:
        raise WeightsError(f"{path / WEIGHTS} has no tensors", AGAIN)
    return found


def check_fits(name: str, tensors: Mapping[str, Stored], block: Block, known: Known, path: Path) -> None:
    """Say nothing if these tensors are what a map of this form has.

    Raises:
        WeightsError: they are not.
    """
    rank, rows = known.rank(name), block.end - block.begin
    wanted: dict[str, tuple[int, ...]] = {"a": (rank, block.width), "b": (rows, rank)}
    if known.settings.use == "dora":
        wanted["magnitude"] = (rows,)
    if tensors.keys() != wanted.keys():
        has, needs = (", ".join(sorted(it)) for it in (tensors, wanted))
        raise WeightsError(f"{path}: {name} has {has}; {known.settings.use} is made of {needs}", AGAIN)
    for part, shape in wanted.items():
        if tensors[part].shape != shape:
            what = f"{path}: {tensors[part].name} has shape {list(tensors[part].shape)}, and {list(shape)} would fit"
            raise WeightsError(what, "it belongs to another base: give it that one")
        if not tensors[part].tensor().isfinite().all():
            raise WeightsError(f"{path}: {tensors[part].name} holds weights that are not numbers", AGAIN)
