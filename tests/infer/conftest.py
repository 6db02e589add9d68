"""Real tokenizers, read from the GGUF files of real models; and a tiny network to generate with."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from hanlin.model.decoder import Decoder
from hanlin.model.gguf.read import GGUFFile
from hanlin.text.gguf import from_metadata
from hanlin.text.tokenizer import Tokenizer
from infer import tiny


@cache
def _tokenizer(path: Path) -> Tokenizer:
    return from_metadata(GGUFFile.open(path).metadata)


@pytest.fixture(scope="session")
def tokenizer_of(resource: Callable[[str], Path], smollm2: Path) -> Callable[[str], Tokenizer]:
    """`tokenizer_of("qwen2.5-coder-0.5b")`; skips where that model cannot be had."""

    def get(name: str) -> Tokenizer:
        return _tokenizer(smollm2 if name == "smollm2" else next(resource(name).rglob("*.gguf")))

    return get


@pytest.fixture(scope="session")
def bytewise() -> Tokenizer:
    """A byte-level tokenizer of our own."""
    return tiny.tokenizer()


@pytest.fixture(scope="session")
def network(bytewise: Tokenizer) -> Decoder:
    """A tiny llama with random weights."""
    return tiny.network(bytewise)
