"""Tokenizers from the files that came before tokenizer.json: vocab.json with merges.txt, or vocab.txt.

These hold a vocabulary and no rules; the rules are those of the tokenizer class or model type that a config names.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from hanlin.core.errors import TokenizerError, shown
from hanlin.text.pretokenizers import kind_named

KINDS = {"GPT2Tokenizer": "gpt-2", "gpt2": "gpt-2", "Qwen2Tokenizer": "qwen2", "qwen2": "qwen2", "qwen3": "qwen2"}
"""Tokenizer classes and model types that come with vocab.json and merges.txt, and the rules they go by."""
SPECIAL: Mapping[str, Mapping[str, str]] = {
    "gpt-2": dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"),
    "qwen2": dict.fromkeys(("eos_token", "pad_token", "unk_token"), "<|endoftext|>"),
    "bert": {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")},
}
"""The special tokens of each kind where no config names others."""


def kind_of(path: Path, named: Any) -> str | None:
    """What the plain files in a folder hold; `named` is the tokenizer class or model type that its configs name.

    Raises:
        TokenizerError: there are vocab.json and merges.txt, but nobody here knows the rules of `named`.
    """
    if (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
        kind = KINDS.get(str(named).removesuffix("Fast"))
        if kind is None:
            raise TokenizerError(
                f"{path} has vocab.json and merges.txt of {shown(named)}, whose rules Hanlin does not know",
                "open it once with Transformers and save it: that writes tokenizer.json, which Hanlin reads",
            )
        return kind
    return "bert" if (path / "vocab.txt").is_file() else None


def byte_level(path: Path, kind: str) -> Backend:
    """Byte-level BPE from vocab.json and merges.txt."""
    rules = kind_named(kind)
    lines = (path / "merges.txt").read_text("utf-8").split("\n")
    pairs = (line.partition(" ") for line in lines if line.strip() and not line.startswith("#version"))
    merges = [(left, right) for left, _, right in pairs]
    backend = Backend(models.BPE(json.loads((path / "vocab.json").read_bytes()), merges))
    if normalizer := rules.normalizer():
        backend.normalizer = normalizer
    backend.pre_tokenizer = rules.pre_tokenizer()
    backend.decoder = decoders.ByteLevel()
    return backend


def word_pieces(path: Path, config: Mapping[str, Any], names: Mapping[str, str]) -> Backend:
    """BERT's WordPiece from vocab.txt: [CLS] before, [SEP] after, lower-cased unless the config says otherwise."""
    lines = (path / "vocab.txt").read_text("utf-8").removesuffix("\n").split("\n")
    ids = {line: at for at, line in enumerate(lines)}
    backend = Backend(models.WordPiece(ids, unk_token=names["unk_token"]))
    backend.normalizer = normalizers.BertNormalizer(
        handle_chinese_chars=config.get("tokenize_chinese_chars", True),
        strip_accents=config.get("strip_accents"),
        lowercase=config.get("do_lower_case", True),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    before, after = names["cls_token"], names["sep_token"]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{before} $A {after}",
        pair=f"{before} $A {after} $B:1 {after}:1",
        special_tokens=[(before, ids[before]), (after, ids[after])],
    )
    return backend
