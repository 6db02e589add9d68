"""The same weights in our hands and in Transformers', for benches that run both in turn."""

import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from common import settle
from transformers import AutoModelForCausalLM, PreTrainedModel

from hanlin.core.machine import allowed_cores
from hanlin.model.decoder import Decoder
from hanlin.model.load import load
from hanlin.model.save import save_folder
from hanlin.model.store import DEFAULT, resolve

PATIENCE_SECONDS = 10.0
"""How long a round waits for others on the machine to be done."""


def both(path: Path | None = None) -> tuple[Decoder, PreTrainedModel]:
    """A model (the default one's float32 weights) by us and by Transformers, on as many threads as pay off."""
    torch.set_num_threads(allowed_cores().count)
    checkpoint = load(path or resolve(DEFAULT))
    with tempfile.TemporaryDirectory() as folder:
        save_folder(checkpoint, Path(folder))
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        return checkpoint.network, theirs


def in_turn(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of each measurement; they run in turn, so that what else the machine does meets all alike."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()  # the first time pays for memory and caches
    for _ in range(rounds):
        settle(PATIENCE_SECONDS)
        for name, run in runs.items():
            found[name].append(run())
    return {name: statistics.median(values) for name, values in found.items()}
