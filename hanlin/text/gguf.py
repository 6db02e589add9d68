"""A GGUF file's `tokenizer.*` metadata in, a Tokenizer out; and the way back.

GGUF holds a vocabulary, and only names its rules: `tokenizer.ggml.model` (gpt2 is byte-level BPE, llama SentencePiece)
and `tokenizer.ggml.pre` (see `pretokenizers.py`). Where a file says less than the tokenizer.json that the model was
published with, the published rules win: Qwen2 composes characters (NFC), SmolLM2 splits digits.
"""

import json
from collections.abc import Mapping
from typing import Any

from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as Backend

from hanlin.core.errors import TokenizerError, did_you_mean
from hanlin.text.merges import derived
from hanlin.text.pretokenizers import kind_named, name_of, rules
from hanlin.text.spelling import BYTE_TOKEN
from hanlin.text.tokenizer import Tokenizer, telling
from hanlin.text.vocabulary import ALL_ENDS, BYTE, CONTROL, NORMAL, PREFIX_RULE, UNUSED, USER_DEFINED, Vocabulary

SPACE = "▁"
SPACED = normalizers.Replace(" ", SPACE)
PREFIXED = [normalizers.Prepend(SPACE), SPACED]
NO_CUT = rules(pre_tokenizers.Split(" ", "merged_with_previous"))
"""What Gemma's tokenizer.json does after every space became ▁: nothing."""
KEEP = "keep the Hugging Face format for this model"
Merges = list[tuple[str, str]]


def from_metadata(metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer a GGUF file describes.

    Raises:
        TokenizerError: it is of a kind we do not carry, or damaged; the message names the key.
    """
    file = Vocabulary(metadata)
    kind = metadata.get("tokenizer.ggml.model")
    builders = {"gpt2": _byte_level, "llama": _sentencepiece}
    if kind not in builders:
        fix = did_you_mean(str(kind), builders) if kind else "take a file that holds its tokenizer"
        raise TokenizerError(f"tokenizer.ggml.model is {kind!r}, which Hanlin does not carry", fix)
    with telling("the tokenizer in the GGUF file is damaged"):
        backend, adds_bos = builders[kind](file)
    bos, eos = file.id("bos"), file.id("eos")
    begins = [bos] if bos is not None and file.flag("add_bos_token", adds_bos) else []
    ends = [eos] if eos is not None and file.flag("add_eos_token", False) else []
    backend.post_processor = surround([file.tokens[at] for at in begins], [file.tokens[at] for at in ends], backend)
    template = file.template()
    return Tokenizer(backend, len(file.tokens), bos, file.ends(), file.id("padding"), file.id("unknown"), template)


def _byte_level(file: Vocabulary) -> tuple[Backend, bool]:
    kind = kind_named(file.metadata.get("tokenizer.ggml.pre", "default"))
    backend = Backend(models.BPE(file.ids, file.merges, ignore_merges=kind.takes_whole_words))
    if normalizer := kind.normalizer():
        backend.normalizer = normalizer
    backend.pre_tokenizer = kind.pre_tokenizer()
    backend.decoder = decoders.ByteLevel()
    _add_marks(backend, file.of_type(CONTROL), file.of_type(USER_DEFINED))
    return backend, kind.adds_bos


def _sentencepiece(file: Vocabulary) -> tuple[Backend, bool]:
    # A run of spaces stands in the file as it is read, and in the rules as it is merged.
    ids = {token if token.strip(" ") else SPACE * len(token): at for token, at in file.ids.items()}
    whole = [token for token, kind in zip(ids, file.types, strict=True) if kind in (NORMAL, USER_DEFINED)]
    if file.scores and not str(file.metadata.get("general.architecture", "")).startswith("gemma"):
        # Gemma's files score some pieces -1000 whatever their rank; there, the order of ids is the order of merges.
        score = dict(zip(ids, file.scores, strict=True))
        whole.sort(key=lambda token: -score[token])
    unknown = file.id("unknown")
    backend = Backend(
        models.BPE(
            ids,
            file.merges or derived(whole, dict.fromkeys(whole, 0)),
            unk_token=None if unknown is None else file.tokens[unknown],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    has_prefix = file.flag("add_space_prefix", True)
    if scheme := file.metadata.get(PREFIX_RULE):
        backend.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, scheme, split=False)
    else:
        backend.normalizer = normalizers.Sequence(PREFIXED) if has_prefix else SPACED
    written = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*written, decoders.Strip(" ", 1, 0)] if has_prefix else written)
    plain = [token if token.strip(" ") else SPACE * len(token) for token in file.of_type(USER_DEFINED)]
    _add_marks(backend, file.of_type(CONTROL), plain)
    return backend, True


def _add_marks(backend: Backend, special: list[str], plain: list[str]) -> None:
    """Tokens found whole in a text before anything else: special ones, and ones that are text like any other."""
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    backend.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])


def surround(begins: list[str], ends: list[str], backend: Backend) -> processors.TemplateProcessing:
    """The rule that writes these tokens before and after every text."""
    pair = [*begins, "$A", *ends, *(f"{part}:1" for part in [*begins, "$B", *ends])]
    ids = [(token, backend.token_to_id(token)) for token in {*begins, *ends}]
    return processors.TemplateProcessing(single=[*begins, "$A", *ends], pair=pair, special_tokens=ids)


def to_metadata(tokenizer: Tokenizer, size: int | None = None) -> dict[str, Any]:
    """The keys that describe a tokenizer in a GGUF file, for llama.cpp and for `from_metadata`.

    `size` is the number of rows of the model's embedding where that is larger: the rest is filled with unused tokens.

    Raises:
        TokenizerError: GGUF has no words for this tokenizer's rules; the message names them.
    """
    model = json.loads(tokenizer.backend.to_str())["model"]
    odd = [name for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix") if model.get(name)]
    if model["type"] != "BPE" or odd:
        raise TokenizerError(f"GGUF cannot hold this tokenizer: {model['type']} {' '.join(odd)}".strip(), KEEP)
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ", 1)) for pair in model["merges"]]
    names = tokenizer.backend.get_vocab(with_added_tokens=True)
    tokens = [f"[PAD{at}]" for at in range(max(tokenizer.vocab_size, size or 0))]
    types = [UNUSED] * len(tokens)
    for token, at in names.items():
        is_byte = model["byte_fallback"] and BYTE_TOKEN.fullmatch(token)
        types[at] = BYTE if is_byte else NORMAL if token != tokens[at] else UNUSED
        tokens[at] = token
    for at, mark in tokenizer.backend.get_added_tokens_decoder().items():
        if mark.lstrip or mark.rstrip or mark.single_word:
            raise TokenizerError(f"GGUF cannot say how the token {mark.content!r} takes the spaces around it", KEEP)
        types[at] = CONTROL if mark.special else USER_DEFINED
    described = _described_pieces if model["byte_fallback"] else _described_bytes
    return described(tokenizer.backend, tokens, types, merges) | _described_marks(tokenizer)


def _described_bytes(backend: Backend, tokens: list[str], types: list[int], merges: Merges) -> dict[str, Any]:
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": name_of(backend),
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": [f"{left} {right}" for left, right in merges],
    }


def _described_pieces(backend: Backend, tokens: list[str], types: list[int], merges: Merges) -> dict[str, Any]:
    changes, cuts = rules(backend.normalizer), rules(backend.pre_tokenizer)
    prefixed = [step for part in PREFIXED for step in rules(part)]
    scheme = cuts[0].get("prepend_scheme") if len(cuts) == 1 and not changes and not cuts[0].get("split") else None
    is_plain = cuts in ([], NO_CUT) and changes in (rules(SPACED), prefixed)
    if not is_plain and scheme is None:
        raise TokenizerError(f"GGUF has no name for how this tokenizer cuts text: {[*changes, *cuts]}", KEEP)
    rank = {}
    for place, (left, right) in enumerate(merges):
        rank.setdefault(left + right, place)
    scores = [-float(rank.get(token, len(merges) + at)) for at, token in enumerate(tokens)]
    runs = [kind == USER_DEFINED and set(token) == {SPACE} for token, kind in zip(tokens, types, strict=True)]
    described = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": [
            token.replace(SPACE, " ") if is_run else token for token, is_run in zip(tokens, runs, strict=True)
        ],
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.add_space_prefix": changes == prefixed or scheme in ("first", "always"),
    }
    described |= {PREFIX_RULE: scheme} if scheme else {}
    pieces = [token for token, kind in zip(tokens, types, strict=True) if kind in (NORMAL, USER_DEFINED)]
    if derived(sorted(pieces, key=lambda token: rank.get(token, len(merges))), dict.fromkeys(pieces, 0)) != merges:
        described["tokenizer.ggml.merges"] = [f"{left} {right}" for left, right in merges]
    return described


def _described_marks(tokenizer: Tokenizer) -> dict[str, Any]:
    bare, whole = (tokenizer.encode("a", add_special=is_whole) for is_whole in (False, True))
    begins, ends = whole[: whole.index(bare[0])], whole[whole.index(bare[0]) + len(bare) :]
    eos = tokenizer.eos[:1]
    if begins not in ([], [tokenizer.bos]) or ends not in ([], [*eos]):
        raise TokenizerError(f"GGUF cannot say that a text begins with {begins} and ends with {ends}", KEEP)
    ids = dict(zip(("eos", "eot", "eom"), tokenizer.eos, strict=False))
    ids |= {"bos": tokenizer.bos, "padding": tokenizer.pad, "unknown": tokenizer.unk}
    described: dict[str, Any] = {f"tokenizer.ggml.{name}_token_id": at for name, at in ids.items() if at is not None}
    described |= {ALL_ENDS: list(tokenizer.eos)} if len(tokenizer.eos) > 3 else {}
    described |= {"tokenizer.ggml.add_bos_token": bool(begins), "tokenizer.ggml.add_eos_token": bool(ends)}
    if template := tokenizer.template:
        described["tokenizer.chat_template"] = template.source
        more = {name: text for name, text in template.named.items() if name != "default"}
        described |= {"tokenizer.chat_templates": list(more)} if more else {}
        described |= {f"tokenizer.chat_template.{name}": text for name, text in more.items()}
    return described
