"""A tiny model on disk, to be loaded, damaged and refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hanlin.model.checkpoint import Checkpoint
from hanlin.model.decoder import Decoder
from hanlin.model.families import llama
from hanlin.model.save import save_folder


@pytest.fixture
def tiny() -> Checkpoint:
    """A llama with random weights."""
    config = llama.TINY["shared heads"]
    torch.manual_seed(0)
    return Checkpoint(network=Decoder(llama.parts(config)).eval(), config=config, family="llama", tokenizer=None)


@pytest.fixture
def folder(tiny: Checkpoint, tmp_path: Path) -> Path:
    """The same as a Hugging Face folder."""
    save_folder(tiny, tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def change(folder: Path) -> Callable[..., Path]:
    """`change(hidden_size=48)` writes other values into the folder's config.json; None takes a key out."""

    def write(**changes: object) -> Path:
        path = folder / "config.json"
        values = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
        return folder

    return write
