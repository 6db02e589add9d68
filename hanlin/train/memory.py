"""What a run needs of the memory at least, by formula: refuses what clearly does not fit before anything is made.

    weights + gradients + the optimiser's moments + what the layers keep for the way back + one chunk of logits

Only what no implementation could do without is counted, so that nothing that fits is refused; `hanlin plan` measures.
"""

import torch

from hanlin.core.errors import CapacityError
from hanlin.core.machine import allowed_memory
from hanlin.core.plugins import find
from hanlin.model.decoder import Decoder
from hanlin.model.opened import FAMILIES
from hanlin.train.cross_entropy import CHUNK
from hanlin.train.settings import RunFile
from hanlin.train.size import config_of

FLOAT = 4
"""Bytes of a number that the optimiser keeps."""


def unmade(settings: RunFile, vocabulary: int) -> Decoder:
    """A new model with shapes and no weights: it takes no memory.

    Raises:
        ConfigError: as `config_of`.
    """
    config = config_of(settings.model, vocabulary, settings.data.context)
    with torch.device("meta"):
        return Decoder(find(FAMILIES, settings.model.family).parts(config))


def least_bytes(network: Decoder, settings: RunFile, dtype: torch.dtype, rows: int, *, is_made: bool) -> int:
    """Bytes that training takes at least, those left out that are taken already where the model `is_made`."""
    config, size = network.config, dtype.itemsize
    weights = sum(weight.numel() for weight in network.parameters())
    learning = 0 if settings.adapter else sum(it.numel() for it in network.parameters() if it.requires_grad)
    moments = 1 if settings.train.optimiser.use == "muon" else 2  # pyright: ignore[reportAttributeAccessIssue]
    copies = moments + (size < FLOAT) + bool(settings.train.ema)
    of_gates = 0 if settings.train.products == "int8" else 2 * config.mlp  # in bytes they are made again
    per_layer = config.width if settings.model.is_checkpointed else 3 * config.width + of_gates
    positions = rows * settings.data.context
    return (
        (0 if is_made else weights * size)
        + learning * (size + copies * FLOAT)
        + positions * config.layers * per_layer * size
        + min(CHUNK, positions * config.vocabulary) * size
    )


def check(network: Decoder, settings: RunFile, dtype: torch.dtype, rows: int, *, is_made: bool) -> None:
    """Refuse a run that clearly does not fit.

    Raises:
        CapacityError: it takes more than is free, even counted low.
    """
    if dtype_is_elsewhere(settings):
        return
    least, free = least_bytes(network, settings, dtype, rows, is_made=is_made), allowed_memory().available_bytes
    if least <= free:
        return
    millions = sum(weight.numel() for weight in network.parameters()) / 1e6
    what = (
        f"training {millions:,.0f} million weights with {rows} rows of {settings.data.context} a pass takes at least "
        f"{least / 1e9:,.1f} GB of memory; {free / 1e9:,.1f} GB are free"
    )
    raise CapacityError(what, "; or ".join(smaller(settings, rows)))


def dtype_is_elsewhere(settings: RunFile) -> bool:
    """Whether the model goes to a device with a memory of its own."""
    return settings.train.device not in ("auto", "cpu") or (settings.train.device == "auto" and has_accelerator())


def has_accelerator() -> bool:
    """A GPU is here."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def smaller(settings: RunFile, rows: int) -> list[str]:
    """What makes a run take less memory, most effective first."""
    found = []
    if rows > 1:
        found.append(f"train.rows={max(1, rows // 2)}: fewer rows per pass, the same result")
    if settings.adapter is None and settings.model.use:
        found.append('[adapter] with use = "lora": learn an addition instead of all weights')
    if settings.model.size and settings.model.size > 1:
        found.append(f"model.size={settings.model.size // 2}: a smaller model")
    if not settings.model.is_checkpointed:
        found.append("model.is_checkpointed=true: compute activations again instead of keeping them")
    if settings.data.context > 8:
        found.append(f"data.context={max(8, settings.data.context // 2)}: shorter rows")
    return found
