"""Run folders as a finished training leaves them, made here from a tiny network in a few milliseconds."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
import torch
from tokenizers import pre_tokenizers

from hanlin.core.plugins import find
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.save import save_folder
from hanlin.text.tokenizer import Tokenizer
from infer import tiny


def words() -> Tokenizer:
    """Single bytes, cut as GPT-2 cuts texts: a tokenizer that GGUF has a name for."""
    single = tiny.tokenizer()
    single.backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return single


def checkpoint(family: str = "llama", case: str = "shared heads", dtype: torch.dtype = torch.float32) -> Checkpoint:
    """A family's tiny network that says something, with a tokenizer of single bytes."""
    module = find("hanlin.model.families", family)
    tokenizer = words()
    config = module.TINY[case].model_copy(update={"vocabulary": tokenizer.vocab_size})
    torch.manual_seed(0)
    network = Decoder(module.parts(config)).eval().requires_grad_(False)
    for weight in network.parameters():
        weight.add_(torch.randn_like(weight) * 0.1)
    return Checkpoint(network.to(dtype), config, family, tokenizer)


def step(number: int, loss: float | None = None, **more: Any) -> dict[str, Any]:
    """A line of metrics.jsonl."""
    plain = {"number": number, "loss": 3.0 / number if loss is None else loss, "rate": 1e-3, "gradient_norm": 0.5}
    sizes = {"rows": 4, "tokens": 256, "graded": 200, "seconds": 0.5, "waiting_seconds": 0.01, "operations": 1e9}
    return {**plain, **sizes, **more}


def validation(loss: float, **more: Any) -> dict[str, Any]:
    """A validation in such a line."""
    return {"loss": loss, "bits_per_byte": loss / 2, "tokens": 64, "seconds": 0.1, "figures": {}, **more}


STEPS = (
    step(1, validation=validation(2.5), sample="The cat\n  <b>sat</b> 猫"),
    step(2, notes=["a note & more"]),
    step(3, validation=validation(1.5, figures={"accuracy": 0.75}, is_best=True), peak_share=0.5),
    step(4, stop="steps", is_saved=True, figures={"margin": 0.25}, peak_share=0.25),
)


def run(
    folder: Path,
    model: Checkpoint | None = None,
    steps: Sequence[Mapping[str, Any]] = STEPS,
    settings: Mapping[str, Any] = {},
) -> Path:
    """A run folder with these steps, and a final model if there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder.parent / "corpus.txt"
    data.write_text("to be or not to be\n学而时习之\n", "utf-8")
    plain = {
        "verb": "train",
        "name": folder.name,
        "seed": 3,
        "data": {"train": [{"path": str(data)}], "context": 64},
        "train": {"lr": 1e-3, "steps": 4},
        "objective": {"use": "next_token"},
        **settings,
    }
    (folder / "run.toml").write_text(tomli_w.dumps(plain), "utf-8")
    (folder / "log.jsonl").write_text('{"seconds": 0.1, "event": "data", "examples": 12}\n', "utf-8")
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(dict(one))}\n" for one in steps), "utf-8")
    if model is not None:
        save_folder(model, folder / "model")
    return folder
