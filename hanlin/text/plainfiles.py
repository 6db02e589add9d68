"""Tokenizers from the files that came before tokenizer.json: vocab.json with merges.txt, or vocab.txt."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from hanlin.core.errors import TokenizerError
from hanlin.text.pretokenizers import kind_named

KINDS = {"GPT2Tokenizer": "gpt-2", "gpt2": "gpt-2", "Qwen2Tokenizer": "qwen2", "qwen2": "qwen2", "qwen3": "qwen2"}
"""Tokenizer classes and model types whose rules are not in these files, and the rules they go by."""


def byte_level(path: Path, kind: str) -> Backend:
    """Byte-level BPE from vocab.json and merges.txt, cut as `kind` (a tokenizer class or a model type) does.

    Raises:
        TokenizerError: nobody here knows how `kind` cuts text, or a file is damaged.
    """
    name = KINDS.get(kind.removesuffix("Fast"))
    if name is None:
        raise TokenizerError(
            f"{path} has vocab.json and merges.txt of {kind or 'an unnamed tokenizer'}, whose rules are not in them",
            "open it once with Transformers and save it: that writes tokenizer.json, which Hanlin reads",
        )
    rules = kind_named(name)
    lines = (path / "merges.txt").read_text("utf-8").split("\n")
    pairs = (line.partition(" ") for line in lines if line.strip() and not line.startswith("#version"))
    merges = [(left, right) for left, _, right in pairs]
    backend = Backend(models.BPE(json.loads((path / "vocab.json").read_bytes()), merges))
    if normalizer := rules.normalizer():
        backend.normalizer = normalizer
    backend.pre_tokenizer = rules.pre_tokenizer()
    backend.decoder = decoders.ByteLevel()
    return backend


def word_pieces(path: Path, config: Mapping[str, Any]) -> Backend:
    """BERT's WordPiece from vocab.txt: [CLS] before, [SEP] after, lower-cased unless the config says otherwise."""
    lines = (path / "vocab.txt").read_text("utf-8").removesuffix("\n").split("\n")
    ids = {line: at for at, line in enumerate(lines)}
    names = {name: str(config.get(f"{name}_token", f"[{name.upper()}]")) for name in ("unk", "cls", "sep")}
    backend = Backend(models.WordPiece(ids, unk_token=names["unk"]))
    backend.normalizer = normalizers.BertNormalizer(
        handle_chinese_chars=config.get("tokenize_chinese_chars", True),
        strip_accents=config.get("strip_accents"),
        lowercase=config.get("do_lower_case", True),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    around = [(names[name], ids[names[name]]) for name in ("cls", "sep")]
    before, after = names["cls"], names["sep"]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{before} $A {after}", pair=f"{before} $A {after} $B:1 {after}:1", special_tokens=around
    )
    return backend
