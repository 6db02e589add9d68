"""The special and added tokens of a Hugging Face folder: its configs in, one list of tokens out.

A token may be named (`eos_token`), listed (`added_tokens_decoder`, additional_special_tokens, added_tokens.json) or
both; where they disagree, the list says how the token is matched. As Transformers 5 reads them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken
from tokenizers import Tokenizer as Backend

from hanlin.core.errors import TokenizerError, shown

NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; an absent file is an empty one.

    Raises:
        TokenizerError: the file is not a JSON object.
    """
    try:
        values = json.loads(path.read_bytes()) if path.is_file() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise TokenizerError(f"{path} cannot be read: {error}", "fetch the model again") from None
    if not isinstance(values, dict):
        raise TokenizerError(f"{path} holds {shown(values)}, not an object", "fetch the model again")
    return values


@dataclass(frozen=True)
class Marks:
    """Tokens that are found whole in a text."""

    listed: tuple[AddedToken, ...]
    """In the order of their ids."""
    named: Mapping[str, AddedToken]
    """By the name a config and a chat template use."""
    extra: tuple[AddedToken, ...]
    """Special tokens without a name."""

    @classmethod
    def read(cls, path: Path, config: Mapping[str, Any]) -> "Marks":
        """What a folder says of its special tokens.

        Raises:
            TokenizerError: an entry is not a token.
        """
        values = dict(config)
        if "added_tokens_decoder" not in config:
            values |= read_json(path / "special_tokens_map.json")
        extra = values.get("extra_special_tokens") or values.get("additional_special_tokens") or []
        if isinstance(extra, dict):
            values |= extra
            extra = []
        named = {
            name: _token(value, is_special=True)
            for name, value in values.items()
            if name in NAMES or (name.endswith("_token") and isinstance(value, str))
            if value is not None
        }
        specials = tuple(_token(value, is_special=True) for value in extra)
        known = {token.content: token for token in (*named.values(), *specials) if token.special}
        listed = _listed(path, config, set(known))
        by_content = {token.content: token for token in listed}
        return cls(
            listed,
            {name: by_content.get(token.content, token) for name, token in named.items()},
            tuple(by_content.get(token.content, token) for token in specials),
        )

    def names(self) -> dict[str, str]:
        """The named tokens as text."""
        return {name: token.content for name, token in self.named.items()}

    def add_to(self, backend: Backend) -> None:
        """Make a tokenizer find these tokens; ones that are new to it get the next ids."""
        present = {token.content: token for token in backend.get_added_tokens_decoder().values()}
        backend.add_tokens([token for token in self.listed if present.get(token.content) != token])
        special = [present.get(token.content, token) for token in (*self.named.values(), *self.extra)]
        backend.add_special_tokens(special)


def _listed(path: Path, config: Mapping[str, Any], special: set[str]) -> tuple[AddedToken, ...]:
    try:
        if "added_tokens_decoder" in config:
            entries = sorted(config["added_tokens_decoder"].items(), key=lambda entry: int(entry[0]))
            return tuple(_token(value) for _, value in entries)
        entries = sorted(read_json(path / "added_tokens.json").items(), key=lambda entry: entry[1])
    except (AttributeError, TypeError, ValueError):
        raise TokenizerError(f"the list of added tokens in {path} is damaged", "fetch the model again") from None
    return tuple(AddedToken(text, special=text in special, normalized=text not in special) for text, _ in entries)


def _token(value: Any, is_special: bool | None = None) -> AddedToken:
    try:
        if isinstance(value, str):
            return AddedToken(value, special=True, normalized=False)
        given = {key: inner for key, inner in value.items() if key != "__type"}
        return AddedToken(**given if is_special is None else {**given, "special": is_special})
    except (AttributeError, TypeError):
        raise TokenizerError(f"{shown(value)} is not a token", "mend tokenizer_config.json") from None
