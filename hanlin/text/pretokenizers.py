"""How byte-level tokenizers cut text before merging: the kinds a GGUF file names in `tokenizer.ggml.pre`.

Each kind is the normalizer, the pre-tokenizer and the BPE switch of the tokenizer.json that models of this kind were
published with (GPT-2, SmolLM2, Llama 3, Qwen2 and Qwen3, Mistral's tekken, OLMo 2). The patterns are facts of those
models; llama.cpp lists the names: https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

from hanlin.core.errors import TokenizerError, did_you_mean

ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASED = rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*"
SLASH_REST = REST.replace(r"[\r\n]*", r"[\r\n/]*", 1)


@dataclass(frozen=True)
class Kind:
    """One way to cut text."""

    pattern: str | None = None
    """Cuts at each match; None is GPT-2's own pattern."""
    has_single_digits: bool = False
    """Every digit stands alone, before the pattern sees the text."""
    composes: bool = False
    """Text is first put in Unicode's composed form (NFC)."""
    takes_whole_words: bool = False
    """A piece that is itself in the vocabulary is one token, whatever the merges say."""
    adds_bos: bool = False
    """Files of this kind begin texts with BOS when they do not say otherwise."""

    def normalizer(self) -> normalizers.Normalizer | None:
        """What changes the text first."""
        return normalizers.NFC() if self.composes else None

    def pre_tokenizer(self) -> pre_tokenizers.PreTokenizer:
        """What cuts the text and writes its bytes in the byte-level alphabet."""
        if self.pattern is None:
            bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
            digits = pre_tokenizers.Digits(individual_digits=True)
            return pre_tokenizers.Sequence([digits, bytes_of]) if self.has_single_digits else bytes_of
        cut = pre_tokenizers.Split(Regex(self.pattern), behavior="isolated")
        return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


GPT2 = Kind()
LLAMA3 = Kind(rf"{ENDINGS}|{WORD}|\p{{N}}{{1,3}}|{REST}", takes_whole_words=True, adds_bos=True)
KINDS = {
    "gpt-2": GPT2,
    "smollm": Kind(has_single_digits=True),
    "llama-bpe": LLAMA3,
    "llama3": LLAMA3,
    "llama-v3": LLAMA3,
    "dbrx": Kind(LLAMA3.pattern),
    "qwen2": Kind(rf"{ENDINGS}|{WORD}|\p{{N}}|{REST}", composes=True),
    "tekken": Kind(rf"{CASED}|\p{{N}}|{SLASH_REST}", takes_whole_words=True, adds_bos=True),
}


def kind_named(name: str) -> Kind:
    """The kind a GGUF file names.

    Raises:
        TokenizerError: nobody here knows it.
    """
    if name not in KINDS:
        raise TokenizerError(f"this model cuts text in the way {name!r}, which Hanlin does not know", _choices(name))
    return KINDS[name]


def name_of(backend: Tokenizer) -> str:
    """The name under which GGUF knows a byte-level tokenizer's way of cutting text.

    Raises:
        TokenizerError: it is none of the known ones.
    """
    cuts, changes = rules(backend.pre_tokenizer), rules(backend.normalizer)
    for name, kind in KINDS.items():
        is_same = (cuts, changes) == (rules(kind.pre_tokenizer()), rules(kind.normalizer()))
        if is_same and kind.takes_whole_words == backend.model.ignore_merges:
            return name
    raise TokenizerError(
        f"GGUF has no name for how this tokenizer cuts text: {json.dumps([changes, cuts])[:200]}",
        f"keep the Hugging Face format; Hanlin writes these kinds to GGUF: {', '.join(KINDS)}",
    )


def rules(part: Any) -> list[dict[str, Any]]:
    """A normalizer's or pre-tokenizer's steps as plain data, without what changes no token."""
    if part is None:
        return []
    return list(_steps(json.loads(part.__getstate__())))


def _steps(state: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if state["type"] == "Sequence":
        for inner in state.get("pretokenizers", state.get("normalizers", [])):
            yield from _steps(inner)
    else:
        yield {key: value for key, value in state.items() if key != "trim_offsets"}


def _choices(name: str) -> str:
    if name == "default":
        return "the file is from before GGUF named these: convert the model again with a current tool"
    return did_you_mean(name, KINDS)
