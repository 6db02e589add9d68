"""Options on what an answer may say: tokens by id or text, and what the whole must be; the settings they mean out."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from hanlin.cli.arguments import read_text
from hanlin.core.errors import ConfigError, shown
from hanlin.core.settings import parse
from hanlin.infer.constraint import Constraint, grammar, json_schema, regex
from hanlin.infer.sampling import Sampling
from hanlin.text.tokenizer import Tokenizer

BY_TOKEN = ("logit_bias", "allowed_tokens", "banned_tokens", "shown_tokens")
"""Settings that these options spell."""
HOW = 'An id, or a text that is one token (in double quotes as in JSON: "\\n", "7")'


@dataclass(frozen=True)
class Allowed:
    """What was given, as it was typed."""

    biases: tuple[str, ...]
    tokens: tuple[str, ...]
    banned: tuple[str, ...]
    shown: tuple[str, ...]
    schema: str | None
    pattern: str | None
    rules: str | None

    def constraint(self, prompt: str | None) -> Constraint | None:
        """What the answer must be, checked.

        Raises:
            ConfigError: it cannot be enforced, two were given, or standard input is to be read twice.
            DataError: a file cannot be read.
        """
        given = {"--json-schema": self.schema, "--regex": self.pattern, "--grammar": self.rules}
        named = [name for name, value in given.items() if value is not None]
        if len(named) > 1:
            raise ConfigError(f"{' and '.join(named)} cannot both hold", "give one of them")
        if prompt == "-" and "-" in (self.schema, self.rules):
            raise ConfigError(f"-p - and {named[0]} - both read standard input", "put one of them into a file")
        if self.schema is not None:
            return json_schema(read_text(self.schema).text)
        if self.pattern is not None:
            return regex(self.pattern)
        return None if self.rules is None else grammar(read_text(self.rules).text)

    def added(self, sampling: Sampling, tokenizer: Tokenizer) -> Sampling:
        """The settings with the tokens that were named.

        Raises:
            ConfigError: a text is not one token of this model, or a bias is no number from -100 to 100.
        """
        biases: dict[int, str] = {}
        for given in self.biases:
            name, sign, bias = given.rpartition("=")
            if not sign or not name:
                raise ConfigError(f"--logit-bias {shown(given)} has no bias", "write TOKEN=BIAS, such as 42=-5")
            biases[token_id(name, tokenizer, "--logit-bias")] = bias
        changed = {
            "logit_bias": biases,
            "allowed_tokens": [token_id(name, tokenizer, "--allowed-token") for name in self.tokens],
            "banned_tokens": [token_id(name, tokenizer, "--banned-token") for name in self.banned],
            "shown_tokens": [token_id(name, tokenizer, "--shown-token") for name in self.shown],
        }
        changed = {name: value for name, value in changed.items() if value}
        return parse(Sampling, {**sampling.model_dump(), **changed}) if changed else sampling


def token_id(name: str, tokenizer: Tokenizer, option: str) -> int:
    """The token that `name` means: a whole number is an id, all else a text.

    Raises:
        ConfigError: the text is not one token of this model, or the number no id.
    """
    if name.isascii() and name.isdecimal():
        if int(name) >= tokenizer.vocab_size:
            raise ConfigError(f"{option} {name} is not in the vocabulary", f"ids run to {tokenizer.vocab_size - 1:,}")
        return int(name)
    text = name
    if len(name) > 1 and name[0] == name[-1] == '"':
        try:
            text = json.loads(name)
        except ValueError as error:
            raise ConfigError(f"{option} {name} is no text: {error}", 'write it as in JSON: "\\n"') from None
    tokens = tokenizer.encode(text, add_special=False)
    if len(tokens) != 1:
        parts = ", ".join(f"{token} {tokenizer.token_text(token)!r}" for token in tokens[:8])
        what = f"{option} {shown(text)} is {len(tokens)} tokens: {parts or 'none'}"
        raise ConfigError(what, "give a text that is one token, or ids; `hanlin tokens` shows them")
    return tokens[0]


def allowed_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options, which arrive together as the keyword `allowed`."""

    def gathered(**given: Any) -> Any:
        names = ("biases", "tokens", "banned", "shown", "schema", "pattern", "rules")
        return function(allowed=Allowed(*(given.pop(name) for name in names)), **given)

    gathered.__doc__, gathered.__name__ = function.__doc__, function.__name__
    gathered.__click_params__ = getattr(function, "__click_params__", [])  # pyright: ignore[reportFunctionMemberAccess]
    for flag, name, mark, many, text in reversed(OPTIONS):
        gathered = click.option(flag, name, metavar=mark, multiple=many, help=text)(gathered)
    return gathered


OPTIONS = (
    ("--logit-bias", "biases", "TOKEN=BIAS", True, f"Add -100 to 100 to a token's logit. {HOW}; several times."),
    ("--allowed-token", "tokens", "TOKEN", True, f"Only these tokens may come. {HOW}; several times."),
    ("--banned-token", "banned", "TOKEN", True, f"This token never comes. {HOW}; several times."),
    ("--shown-token", "shown", "TOKEN", True, f"Show this special token's text; others are left out. {HOW}."),
    ("--json-schema", "schema", "JSON|FILE", False, "The answer is JSON that satisfies this schema; {} is any JSON."),
    ("--regex", "pattern", "PATTERN", False, "The answer as a whole matches this pattern (Rust's syntax)."),
    ("--grammar", "rules", "LARK|FILE", False, 'The answer is one of this Lark grammar, as: start: "yes" | "no"'),
)
