"""A PEFT folder in, what it adds to a compiled model out: the base stays as it is, for rows with and without it.

DoRA changes the size of each of the base's rows, and experts choose for each row whom to ask: both are to be merged.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np

from hanlin.core.errors import RefusedError, WeightsError, shown
from hanlin.kernels.low import Floats, Low, Lows
from hanlin.kernels.plan import Kind, Plan
from hanlin.model.adapters.adapted import Block
from hanlin.model.adapters.config import CONFIG, read
from hanlin.model.adapters.peft import WEIGHTS, by_map, check_fits, opened_files
from hanlin.model.config import Shape
from hanlin.model.parts import parameters
from hanlin.model.weights import pieces

MERGE = "merge it first (hanlin merge), and run the model that comes out"


def beside(path: Path, plan: Plan, config: Shape) -> Lows:
    """Read an adapter's folder for the plan of a model with this config.

    Raises:
        WeightsError: the folder is damaged, or its tensors do not fit this model; the message names one.
        RefusedError: it needs what we do not carry beside a model: DoRA, or additions to experts.
    """
    parts = by_map(opened_files(path), path)
    known = read(path, parts)
    if known.settings.use == "dora":
        raise RefusedError(f"{path} is of DoRA, which changes the whole matrix", MERGE)
    ops = {op.path: number for number, op in enumerate(plan.ops) if op.kind is Kind.MULTIPLY}  # the last one wins
    blocks = _blocks(config)
    lows = []
    for name, tensors in parts.items():
        if name not in blocks:
            what = f"{path} changes {shown(name, 200)}, which this model does not have"
            raise WeightsError(what, "it belongs to another base: give it that one")
        home, block = blocks[name]
        if home not in ops:
            raise RefusedError(f"{path} changes {shown(name, 200)}, which belongs to experts", MERGE)
        check_fits(name, tensors, block, known, path)
        a, b = (tensors[part].tensor().float().numpy() for part in ("a", "b"))
        scaled = np.ascontiguousarray(b * np.float32(known.scale(name)))
        lows.append(Low(ops[home], block.begin, Floats(np.ascontiguousarray(a)), Floats(scaled)))
    seen = hashlib.blake2b(digest_size=16)
    for file in (CONFIG, WEIGHTS):
        seen.update(hashlib.blake2b((path / file).read_bytes()).digest())
    return Lows(lows, len(plan.ops), seen.digest())


def _blocks(config: Shape) -> dict[str, tuple[str, Block]]:
    """Hugging Face's names of the layers' maps → the map they lie in, and where."""
    family = sys.modules[type(config).__module__]
    whole = family.parts(config)
    stored, found = pieces(whole, family.names(config), "hf"), {}
    for name, it in parameters(whole).items():
        home, _, leaf = name.rpartition(".")
        if not home.startswith("layers.") or leaf != "weight" or len(it.shape) != 2:
            continue
        for piece in stored[name]:
            own = piece.name.removesuffix(".weight")
            found[own] = home, Block(own, home, piece.rows.start, piece.rows.stop, it.shape[1])
    return found
