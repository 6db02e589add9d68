"""Which weights an adapter was trained on: a fingerprint beside it, so that it is not put on others unnoticed.

PEFT knows the base by name alone, and a name may mean a path, a later version or a quantised copy. Adapters of PEFT's
own have no fingerprint and are taken as they come.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hanlin.core.errors import RefusedError
from hanlin.core.machine import allowed_cores
from hanlin.core.run import replacing
from hanlin.model.decoder import Decoder
from hanlin.model.fill import fill
from hanlin.model.opened import opened
from hanlin.model.parts import parameters
from hanlin.model.safetensors import read_json

FILE = "base.json"
SAMPLE = 1 << 20
"""Weights of the embedding that are looked at."""
EMBED, NORM = "embed.weight", "norm.weight"


def fingerprint(network: Decoder) -> str:
    """A hash of what adapters leave alone: a sample of the embedding, and all norms, to bfloat16's precision.

    The same in float32 and in bfloat16, with and without adapters, and with a quantised base.
    """
    return _hash(network.embed.weight, {name: it for name, it in network.named_parameters() if name.endswith(NORM)})


def stored_fingerprint(path: Path) -> str:
    """The same of a model on disk, however its weights are kept in memory.

    Raises:
        WeightsError: it is damaged, or none we carry.
    """
    it = opened(path)
    shapes = {name: one.shape for name, one in parameters(it.parts).items()}
    made = {name: np.empty(shapes[name], np.float32) for name in shapes if name == EMBED or name.endswith(NORM)}
    fill(it, made, allowed_cores().count)
    weights = {name: torch.from_numpy(one) for name, one in made.items()}
    return _hash(weights.pop(EMBED), weights)


def _hash(embed: Tensor, norms: dict[str, Tensor]) -> str:
    seen = hashlib.sha256()
    step = max(1, embed.numel() // SAMPLE)
    for name, weight in sorted({"embed": embed[::step], **norms}.items()):
        seen.update(f"{name} {list(weight.shape)}\n".encode())
        seen.update(weight.detach().cpu().bfloat16().contiguous().view(torch.uint8).numpy().data)
    return seen.hexdigest()


def write(network: Decoder, folder: Path, base: str) -> None:
    """Put the name and the fingerprint of the base beside an adapter."""
    with replacing(folder / FILE) as sink:
        sink.write(json.dumps({"base": base, "fingerprint": fingerprint(network)}, indent=2).encode() + b"\n")


def check(base: Decoder | Path, folder: Path) -> None:
    """Say nothing if the adapter was trained on these weights, or if it does not say on which.

    Args:
        base: the network, or where the model lies on disk.
        folder: the adapter's.

    Raises:
        RefusedError: it was trained on others.
    """
    if not (folder / FILE).is_file():
        return
    values = read_json(folder / FILE)
    here = stored_fingerprint(base) if isinstance(base, Path) else fingerprint(base)
    if values.get("fingerprint") != here:
        what = f"{folder} was trained on {values.get('base') or 'another model'}, and the weights here are not the same"
        raise RefusedError(what, f"give it its own base; if these are meant, remove {folder / FILE}")
