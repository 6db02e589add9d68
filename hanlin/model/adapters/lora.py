"""A network and the section [adapter] in; the same network with frozen weights and small additions that learn."""

import sys
from collections.abc import Callable, Sequence
from math import sqrt

import torch

from hanlin.core.errors import ConfigError, RefusedError, did_you_mean
from hanlin.model.adapters.adapted import Adapted, Block, adapted
from hanlin.model.adapters.quantised import BLOCK, Kind
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.model.blocks import Linear, Stack
from hanlin.model.decoder import Decoder
from hanlin.model.weights import Names, pieces

MAPS = {
    "qkv": ("q", "k", "v"),
    "out": ("o",),
    "gate_up": ("gate", "up"),
    "up": ("up",),
    "down": ("down",),
    "router": ("router",),
}
"""The maps of our layers, and the targets that lie in each."""
TARGETS = tuple(dict.fromkeys(target for targets in MAPS.values() for target in targets))


def add(network: Decoder, settings: AdapterSettings, draw: torch.Generator) -> None:
    """Freeze all weights and give the targeted maps an addition that learns; in place.

    Targets a family does not have (GPT-2 has no gates) are passed over; experts get an addition each, the router of
    experts only if "router" is a target. The answers stay what they were, but for the rounding of a quantised base.

    Args:
        network: a model without adapters; the additions are float32, whatever its precision.
        settings: `path` is not looked at: see `hanlin.model.adapters.peft.load`.
        draw: where the additions' first weights come from; on the CPU.

    Raises:
        ConfigError: a target nobody knows, none that this network has, part of a fused map, or rows that blocks of
            quantised weights cannot fill.
        RefusedError: the network has adapters already.
    """
    unknown = next((target for target in settings.targets if target not in TARGETS), None)
    if unknown is not None:
        raise ConfigError(f"adapter.targets: {unknown!r} is no map of a layer", did_you_mean(unknown, TARGETS))
    scale = settings.alpha / (sqrt(settings.rank) if settings.is_rank_stabilised else settings.rank)

    def chosen(block: Block) -> Block | None:
        wanted = [target in settings.targets for target in targets_of(block)]
        if any(wanted) and not all(wanted):
            named, them = (
                [target for target in targets_of(block) if target in settings.targets],
                " ".join(targets_of(block)),
            )
            raise ConfigError(
                f"adapter.targets: {named[0]!r} alone is no map here, {block.name} is {them} in one",
                f"name all of them: {them}",
            )
        return block._replace(rank=settings.rank, scale=scale) if all(wanted) else None

    count = attach(network, chosen, draw, settings.use == "dora", settings.dropout, settings.base)
    if not count:
        targets = {target for _, blocks in maps(network) for block in blocks for target in targets_of(block)}
        wanted = ", ".join(settings.targets) or "nothing"
        raise ConfigError(f"adapter.targets = {wanted}: this model has no such map", did_you_mean(wanted, targets))


def targets_of(block: Block) -> tuple[str, ...]:
    """Which of TARGETS it is; several where the format stores them as one map."""
    return MAPS.get(block.target, (block.target,))


def attach(
    network: Decoder,
    chosen: Callable[[Block], Block | None],
    draw: torch.Generator,
    is_dora: bool,
    dropout: float,
    base: str,
) -> int:
    """Freeze the network and replace the maps of which `chosen` gives a block its rank and scale; how many blocks.

    Raises:
        ConfigError: rows that blocks of quantised weights cannot fill.
        RefusedError: the network has adapters already.
    """
    if adapted(network):
        raise RefusedError(
            "this network has an adapter already", "merge it first (hanlin merge), or load the base anew"
        )
    kind: Kind | None = base if base in ("int8", "int4") else None  # pyright: ignore[reportAssignmentType]
    plan = {name: (blocks, [it for it in map(chosen, blocks) if it is not None]) for name, blocks in maps(network)}
    count = sum(len(taken) for _, taken in plan.values())
    if not count:
        return 0
    if kind:
        for name in plan:
            width = network.get_parameter(f"{name}.weight").shape[1]
            if width % BLOCK:
                what = f'adapter.base = "{kind}" keeps blocks of {BLOCK} weights; {name} has rows of {width}'
                raise ConfigError(what, 'set adapter.base = "as_is"')
    network.requires_grad_(False)
    for name, (blocks, taken) in plan.items():
        is_small = name.endswith("router")  # its rounding would choose other experts, and it is small
        if taken or (kind and not is_small):
            parent, _, leaf = name.rpartition(".")
            module = network.get_submodule(name)
            assert isinstance(module, Linear)
            others = {block.name for block in blocks} - {block.name for block in taken}
            made = Adapted(
                module,
                taken,
                draw,
                dropout=dropout,
                is_dora=is_dora,
                kind=None if is_small else kind,
                others=sorted(others),
            )
            setattr(network.get_submodule(parent), leaf, made)
    return count


def maps(network: Decoder) -> list[tuple[str, list[Block]]]:
    """The linear maps of the layers, and what the formats know each as; ranks and scales are yet to be chosen."""
    stored = pieces(network.parts, names_of(network), "hf")
    found = []
    for name, module in network.layers.named_modules(prefix="layers"):
        if isinstance(module, Linear):
            leaf = name.rpartition(".")[2]
            modules = [piece.name.removesuffix(".weight") for piece in stored[f"{name}.weight"]]
            found.append((name, _blocks(leaf, modules, module)))
    return found


def _blocks(leaf: str, modules: Sequence[str], module: Linear) -> list[Block]:
    targets = MAPS.get(leaf, (leaf,))
    if len(modules) == 1:
        return [Block(modules[0], leaf if len(targets) > 1 else targets[0], 0, module.out_features, module.in_features)]
    assert isinstance(module, Stack) and len(targets) == len(modules) == len(module.rows), (leaf, modules)
    found, begin = [], 0
    for name, target, rows in zip(modules, targets, module.rows, strict=True):
        found.append(Block(name, target, begin, begin + rows, module.in_features))
        begin += rows
    return found


def names_of(network: Decoder) -> Names:
    """What the tensors of a network's family are called."""
    return sys.modules[type(network.config).__module__].names(network.config)
