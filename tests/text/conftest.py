"""Each tokenizer at hand twice: ours, and Transformers' own for the same model."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, ByteLevelBPETokenizer, pre_tokenizers
from tokenizers import Tokenizer as Backend

from hanlin.text.folder import load_folder
from hanlin.text.gguf import from_metadata
from hanlin.text.tokenizer import Tokenizer
from text.torture import TEXTS

NAMES = ("smollm2", "qwen2.5", "gemma3", "minilm", "gpt2-style")


@dataclass(frozen=True)
class Pair:
    name: str
    ours: Tokenizer
    theirs: Backend
    """What Transformers would encode with."""
    begins: bool
    """Whether texts get marks at their ends."""


@cache
def gguf_metadata(path: Path) -> dict[str, Any]:
    from hanlin.model.gguf.read import GGUFFile

    return GGUFFile.open(path).metadata


def converted(metadata: dict[str, Any]) -> Backend:
    """Transformers' own tokenizer for GGUF metadata, as its file reader would call it."""
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_TOKENIZER_MAPPING, convert_gguf_tokenizer

    keys = GGUF_TOKENIZER_MAPPING["tokenizer"]
    given = {name: metadata[f"tokenizer.{key}"] for key, name in keys.items() if f"tokenizer.{key}" in metadata}
    return convert_gguf_tokenizer(metadata["general.architecture"], given)[0]


def published_smollm2(metadata: dict[str, Any]) -> Backend:
    """Transformers' conversion, with the pre-tokenizer of the published tokenizer.json, which it leaves out."""
    backend = converted(metadata)
    digits = pre_tokenizers.Digits(individual_digits=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return backend


def published_qwen2(metadata: dict[str, Any]) -> Backend:
    """Transformers' Qwen2Tokenizer, which composes characters as the published tokenizer.json does."""
    from transformers import Qwen2Tokenizer

    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    merges = [tuple(line.split(" ")) for line in metadata["tokenizer.ggml.merges"]]
    theirs = Qwen2Tokenizer(vocab={token: at for at, token in enumerate(tokens)}, merges=merges)
    marks = [(token, kind) for token, kind in zip(tokens, types, strict=True) if kind in (3, 4)]
    theirs.add_tokens([AddedToken(token, special=kind == 3, normalized=False) for token, kind in marks])
    return theirs.backend_tokenizer


@pytest.fixture(scope="session")
def gguf(smollm2: Path, resource: Callable[[str], Path]) -> Callable[[str], dict[str, Any]]:
    """`gguf("qwen2.5")` is the metadata of a real model's file."""

    def get(name: str) -> dict[str, Any]:
        if name == "smollm2":
            return gguf_metadata(smollm2)
        folder = resource({"qwen2.5": "qwen2.5-coder-0.5b", "gemma3": "gemma3-270m-base"}[name])
        return gguf_metadata(next(folder.rglob("*.gguf")))

    return get


@pytest.fixture(scope="session")
def gpt2_style(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as GPT-2's: vocab.json and merges.txt, trained here."""
    folder = tmp_path_factory.mktemp("gpt2-style")
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXTS.values(), vocab_size=700, min_frequency=2, special_tokens=["<|endoftext|>"])
    trained.save_model(str(folder))
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "eos_token_id": 0, "bos_token_id": 0}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))
    return folder


@pytest.fixture(scope="session")
def minilm(resource: Callable[[str], Path]) -> Path:
    return next(resource("minilm").rglob("tokenizer.json")).parent


@pytest.fixture(scope="session")
def pairs(gguf: Callable[[str], dict[str, Any]], gpt2_style: Path, minilm: Path) -> Callable[[str], Pair]:
    @cache
    def get(name: str) -> Pair:
        if name in ("minilm", "gpt2-style"):
            from transformers import AutoTokenizer

            folder = minilm if name == "minilm" else gpt2_style
            theirs = AutoTokenizer.from_pretrained(folder).backend_tokenizer
            theirs.no_truncation()
            theirs.no_padding()
            return Pair(name, load_folder(folder), theirs, name == "minilm")
        build = {"smollm2": published_smollm2, "qwen2.5": published_qwen2, "gemma3": converted}[name]
        return Pair(name, from_metadata(gguf(name)), build(gguf(name)), False)

    return get


@pytest.fixture(params=NAMES)
def pair(request: pytest.FixtureRequest, pairs: Callable[[str], Pair]) -> Pair:
    return pairs(request.param)
