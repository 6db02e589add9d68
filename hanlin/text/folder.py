"""A Hugging Face folder in, its Tokenizer out; and the way back.

Vocabulary and rules: tokenizer.json, else vocab.json with merges.txt (GPT-2, Qwen2), else vocab.txt (BERT), else
tokenizer.model (SentencePiece). Tokens that end a text: generation_config.json, else config.json, else the tokenizer.
Chat templates: chat_template.jinja and additional_chat_templates/, else tokenizer_config.json. Special tokens are in
`marks.py`. Not applied, for it rewrites decoded text: `clean_up_tokenization_spaces`.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from hanlin.core.errors import StoreError, TokenizerError
from hanlin.text import sentencepiece
from hanlin.text.gguf import from_metadata, surround
from hanlin.text.marks import Marks, read_json
from hanlin.text.plainfiles import SPECIAL, byte_level, kind_of, word_pieces
from hanlin.text.template import ChatTemplate
from hanlin.text.tokenizer import Tokenizer, telling

TEMPLATES = "additional_chat_templates"
NO_DEFAULT = "{{ raise_exception('this model has chat templates for special uses only, none of them is the default') }}"


def load_folder(path: Path) -> Tokenizer:
    """The tokenizer in a model's folder.

    Raises:
        TokenizerError: there is none, or a file of it is damaged or of a kind we do not carry.
    """
    config, model = read_json(path / "tokenizer_config.json"), read_json(path / "config.json")
    source = _source(path, config.get("tokenizer_class", model.get("model_type")))
    marks = Marks.read(path, {**source.special, **config})
    with telling(f"the tokenizer in {path} is damaged"):
        backend = source.build(config, marks.names())
        marks.add_to(backend)
        backend.encode("a")  # some damage shows only in use
    backend.no_truncation()
    backend.no_padding()
    names = marks.names()
    if not (path / "tokenizer.json").is_file() and {"add_bos_token", "add_eos_token"} & config.keys():
        begins = [names["bos_token"]] if config.get("add_bos_token") and "bos_token" in names else []
        ends = [names["eos_token"]] if config.get("add_eos_token") and "eos_token" in names else []
        backend.post_processor = surround(begins, ends, backend)
    ids = {name: backend.token_to_id(token) for name, token in names.items()}
    bos = ids.get("bos_token", next(iter(_ids(model.get("bos_token_id"))), None))
    ends = _ids(read_json(path / "generation_config.json").get("eos_token_id")) or _ids(model.get("eos_token_id"))
    own = ids.get("eos_token")
    size = 1 + max(backend.get_vocab().values(), default=-1)
    ends = tuple(token for token in ends if token < size) or (() if own is None else (own,))
    ends = tuple(sorted(ends, key=lambda token: token != own))  # the tokenizer's own first, the others as they were
    return Tokenizer(
        backend, size, bos, ends, ids.get("pad_token"), ids.get("unk_token"), _template(path, config, names)
    )


def save_folder(tokenizer: Tokenizer, path: Path) -> None:
    """Write a tokenizer so that Transformers and `load_folder` read it: tokenizer.json, its config, its templates.

    Raises:
        StoreError: the folder cannot be written.
    """
    template = tokenizer.template
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **special_tokens(tokenizer),
        **(template.special if template else {}),
    }
    files = {
        "tokenizer.json": tokenizer.backend.to_str(pretty=True),
        "tokenizer_config.json": json.dumps(config, ensure_ascii=False, indent=2) + "\n",
    }
    if template:
        files["chat_template.jinja"] = template.source
        more = {name: text for name, text in template.named.items() if name != "default"}
        files |= {f"{TEMPLATES}/{re.sub(r'[^A-Za-z0-9_-]', '_', name)}.jinja": text for name, text in more.items()}
    try:
        for name, text in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text, "utf-8", newline="\n")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}", "choose a folder you may write, with room") from None


def special_tokens(tokenizer: Tokenizer) -> dict[str, str]:
    """A tokenizer's special tokens by the names that configs and templates use."""
    ids = {"bos_token": tokenizer.bos, "eos_token": next(iter(tokenizer.eos), None)}
    ids |= {"pad_token": tokenizer.pad, "unk_token": tokenizer.unk}
    spelled = {name: tokenizer.backend.id_to_token(at) for name, at in ids.items() if at is not None}
    return {name: token for name, token in spelled.items() if token is not None}


@dataclass(frozen=True)
class _Source:
    """The files a tokenizer is built from."""

    build: Callable[[Mapping[str, Any], Mapping[str, str]], Backend]
    """Builds it, given the tokenizer's config and the names of special tokens."""
    special: Mapping[str, str] = field(default_factory=dict)
    """The special tokens where no config names others."""


def _source(path: Path, named: Any) -> _Source:
    if (path / "tokenizer.json").is_file():
        return _Source(lambda *_: Backend.from_file(str(path / "tokenizer.json")))
    kind = kind_of(path, named)
    if kind == "bert":
        return _Source(lambda *given: word_pieces(path, *given), SPECIAL[kind])
    if kind:
        return _Source(lambda *_: byte_level(path, kind), SPECIAL[kind])
    if (path / "tokenizer.model").is_file():
        built = from_metadata(sentencepiece.read(path / "tokenizer.model"))
        return _Source(lambda *_: built.backend, special_tokens(built))
    raise TokenizerError(f"{path} holds no tokenizer", "it needs tokenizer.json, or the files that one is made from")


def _ids(value: Any) -> tuple[int, ...]:
    """Token ids as configs write them: one, a list of them, or none."""
    values = value if isinstance(value, list) else [value]
    return tuple(token for token in values if isinstance(token, int) and token >= 0)


def _template(path: Path, config: Mapping[str, Any], special: Mapping[str, str]) -> ChatTemplate | None:
    given = config.get("chat_template")
    named = {"default": given} if isinstance(given, str) else given or {}
    try:
        if isinstance(named, list):
            named = {entry["name"]: entry["template"] for entry in named}
        files = {file.stem: file for file in sorted((path / TEMPLATES).glob("*.jinja"))}
        if (path / "chat_template.jinja").is_file():
            files["default"] = path / "chat_template.jinja"
        if files:
            named = {name: file.read_text("utf-8") for name, file in files.items()}
        return ChatTemplate(named.get("default", NO_DEFAULT), special, named) if named else None
    except (OSError, UnicodeDecodeError, TypeError, KeyError, AttributeError) as error:
        raise TokenizerError(f"a chat template in {path} cannot be read: {error!r}", "fetch it again") from None
