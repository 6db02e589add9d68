"""The `tokenizer.*` keys of a GGUF file, each checked once: a mapping in, lists and ids one can rely on out.

Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import Any

from hanlin.core.errors import TokenizerError, shown
from hanlin.text.template import ChatTemplate

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""What `token_type` says of a token."""
ALL_ENDS, PREFIX_RULE = "tokenizer.hanlin.eos_token_ids", "tokenizer.hanlin.space_prefix"
"""Our own keys, written where GGUF's cannot say it: more than three ending tokens, and when a text gets a space."""
ENDS = frozenset("<|eot_id|> <|eom_id|> <|im_end|> <|end|> <|endoftext|> <|end_of_text|> <end_of_turn> <eos>".split())
"""Control tokens that end a turn or a text in the families we carry: a file names only one or two of them."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What a GGUF file says of its tokenizer. Raises TokenizerError where a key is missing or makes no sense."""

    metadata: Mapping[str, Any]

    @cached_property
    def tokens(self) -> list[str]:
        """Every token, by id."""
        tokens = self._list("tokens", str)
        if not tokens:
            raise TokenizerError("the GGUF file has no tokenizer.ggml.tokens", "take a file that holds its tokenizer")
        return tokens

    @cached_property
    def types(self) -> list[int]:
        """The kind of each token."""
        return self._list("token_type", int) or [NORMAL] * len(self.tokens)

    @cached_property
    def scores(self) -> list[float]:
        """SentencePiece's score of each token."""
        return self._list("scores", float, int)

    @cached_property
    def merges(self) -> list[tuple[str, str]]:
        """Pairs of tokens that join, the first ones first."""
        lines = self._list("merges", str, is_per_token=False)
        merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines)]
        if not all(right for _, right in merges):
            raise TokenizerError("tokenizer.ggml.merges holds a line that is no pair", "fetch the file again")
        return merges

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each token."""
        ids = dict(zip(self.tokens, range(len(self.tokens)), strict=True))
        if len(ids) != len(self.tokens):
            twice = next(token for at, token in enumerate(self.tokens) if ids[token] != at)
            raise TokenizerError(f"tokenizer.ggml.tokens holds {shown(twice)} twice", "fetch the file again")
        return ids

    def of_type(self, kind: int) -> list[str]:
        """All tokens of one kind."""
        return list(compress(self.tokens, [each == kind for each in self.types]))

    def flag(self, name: str, default: bool) -> bool:
        """A yes or no, such as add_bos_token."""
        value = self.metadata.get(f"tokenizer.ggml.{name}", default)
        if not isinstance(value, bool):
            raise TokenizerError(f"tokenizer.ggml.{name} = {shown(value)} is not true or false", "fetch the file again")
        return value

    def id(self, name: str) -> int | None:
        """A special token's id, such as bos or padding."""
        value = self.metadata.get(f"tokenizer.ggml.{name}_token_id")
        if value is not None and not (type(value) is int and 0 <= value < len(self.tokens)):
            last = len(self.tokens) - 1
            raise TokenizerError(f"tokenizer.ggml.{name}_token_id = {shown(value)} is no token", f"ids end at {last}")
        return value

    def ends(self) -> tuple[int, ...]:
        """All tokens that end a turn or a text, the file's own first."""
        listed = self.metadata.get(ALL_ENDS, [])
        if not isinstance(listed, list) or not all(type(at) is int and 0 <= at < len(self.tokens) for at in listed):
            raise TokenizerError(f"{ALL_ENDS} = {shown(listed)} is no list of tokens", "fetch the file again")
        named = [self.id(name) for name in ("eos", "eot", "eom")]
        known = [self.ids[token] for token in self.of_type(CONTROL) if token in ENDS]
        return tuple(dict.fromkeys(token for token in [*named, *listed, *known] if token is not None))

    def template(self) -> ChatTemplate | None:
        """The chat template in the file, with those that have a name of their own."""
        key = "tokenizer.chat_template"
        found = {
            name.removeprefix(f"{key}."): text for name, text in self.metadata.items() if name.startswith(f"{key}.")
        }
        source = self.metadata.get(key, found.get("default"))
        if source is None:
            return None
        if not all(isinstance(text, str) for text in [source, *found.values()]):
            raise TokenizerError(f"{key} is not text", "fetch the file again")
        ids = {name: self.id(key) for name, key in SPECIAL.items()}
        return ChatTemplate(source, {name: self.tokens[at] for name, at in ids.items() if at is not None}, found)

    def _list(self, name: str, *kinds: type, is_per_token: bool = True) -> list[Any]:
        values = self.metadata.get(f"tokenizer.ggml.{name}", [])
        if not isinstance(values, list) or not set(map(type, values)) <= set(kinds):
            raise TokenizerError(f"tokenizer.ggml.{name} is not a list of {kinds[0].__name__}", "fetch the file again")
        if values and is_per_token and name != "tokens" and len(values) != len(self.tokens):
            raise TokenizerError(
                f"tokenizer.ggml.{name} has {len(values)} entries for {len(self.tokens)} tokens", "fetch the file again"
            )
        return values


SPECIAL = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
"""Template variables for special tokens, and what GGUF calls each."""
