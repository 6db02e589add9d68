"""A GGUF file's `tokenizer.*` metadata in, a Tokenizer out; and the way back.

GGUF holds a vocabulary, and only names its rules: `tokenizer.ggml.model` (gpt2 is byte-level BPE, llama SentencePiece)
and `tokenizer.ggml.pre` (see `pretokenizers.py`). Where a file says less than the tokenizer.json that the model was
published with, the published rules win: Qwen2 composes characters (NFC), SmolLM2 splits digits.
"""

from collections.abc import Mapping
from typing import Any

from tokenizers import AddedToken, decoders, models, normalizers, processors
from tokenizers import Tokenizer as Backend

from hanlin.core.errors import TokenizerError, did_you_mean
from hanlin.text.merges import derived
from hanlin.text.pretokenizers import kind_named
from hanlin.text.tokenizer import Tokenizer
from hanlin.text.vocabulary import CONTROL, NORMAL, USER_DEFINED, Vocabulary

SPACE = "▁"


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
    try:
        backend, adds_bos = builders[kind](file)
    except TokenizerError:
        raise
    except Exception as error:  # what the library raises for a merge of unknown pieces
        raise TokenizerError(f"the tokenizer in the GGUF file is damaged: {error}", "fetch the file again") from None
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
    ids = {
        SPACE * len(token) if token.isspace() and set(token) == {" "} else token: at for token, at in file.ids.items()
    }
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
    spaces = normalizers.Replace(" ", SPACE)
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), spaces]) if has_prefix else spaces
    written = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*written, decoders.Strip(" ", 1, 0)] if has_prefix else written)
    _add_marks(backend, file.of_type(CONTROL), [token for token in file.of_type(USER_DEFINED) if token in ids])
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
