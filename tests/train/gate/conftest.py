"""Runs about to begin: a small sft run that passes, from which each test takes one step into the wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hanlin.data.encoded import Encoded
from hanlin.model.gguf.read import GGUFFile
from hanlin.text.gguf import from_metadata
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.gate.inputs import Inputs
from train.gate.cases import chat, encoded, run


@pytest.fixture(scope="session")
def tokenizer(smollm2: Path) -> Tokenizer:
    """SmolLM2's, whose padding is its end of turn."""
    return from_metadata(GGUFFile.open(smollm2).metadata)


@pytest.fixture
def make(tokenizer: Tokenizer) -> Callable[..., Inputs]:
    """A good run of 40 chats, but for what the arguments change."""

    def made(train: Encoded | None = None, validation: Encoded | None = None, **changed: Any) -> Inputs:
        given: dict[str, Any] = {
            "run": run(),
            "train": [train or encoded([chat(number) for number in range(40)], tokenizer)],
            "validation": [validation or encoded([chat(number) for number in range(100, 110)], tokenizer)],
            "tokenizer": tokenizer,
            "rows": tokenizer.vocab_size,
            "base": tokenizer,
        }
        return Inputs(**{**given, **changed})

    return made
