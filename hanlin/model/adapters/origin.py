"""Which weights an adapter was trained on: a fingerprint beside it, so that it is not put on others unnoticed.

PEFT knows the base by name alone, and a name may mean a path, a later version or a quantised copy. Adapters of PEFT's
own have no fingerprint and are taken as they come.
"""

import hashlib
import json
from pathlib import Path

import torch

from hanlin.core.errors import RefusedError
from hanlin.core.run import replacing
from hanlin.model.decoder import Decoder
from hanlin.model.safetensors import read_json

FILE = "base.json"
SAMPLE = 1 << 20
"""Weights of the embedding that are looked at."""


def fingerprint(network: Decoder) -> str:
    """A hash of what adapters leave alone: a sample of the embedding, and all norms, to bfloat16's precision.

    The same in float32 and in bfloat16, with and without adapters, and with a quantised base.
    """
    seen = hashlib.sha256()
    embed = network.embed.weight
    step = max(1, embed.numel() // SAMPLE)
    parts = {"embed": embed[::step]} | {
        name: it for name, it in network.named_parameters() if name.endswith("norm.weight")
    }
    for name, weight in sorted(parts.items()):
        seen.update(f"{name} {list(weight.shape)}\n".encode())
        seen.update(weight.detach().cpu().bfloat16().contiguous().view(torch.uint8).numpy().data)
    return seen.hexdigest()


def write(network: Decoder, folder: Path, base: str) -> None:
    """Put the name and the fingerprint of the base beside an adapter."""
    with replacing(folder / FILE) as sink:
        sink.write(json.dumps({"base": base, "fingerprint": fingerprint(network)}, indent=2).encode() + b"\n")


def check(network: Decoder, folder: Path) -> None:
    """Say nothing if the adapter was trained on these weights, or if it does not say on which.

    Raises:
        RefusedError: it was trained on others.
    """
    if not (folder / FILE).is_file():
        return
    values = read_json(folder / FILE)
    if values.get("fingerprint") != fingerprint(network):
        base = values.get("base") or "another model"
        what = f"{folder} was trained on {base}, and the weights here are not the same"
        raise RefusedError(what, f"give it its own base; if these are meant, remove {folder / FILE}")
