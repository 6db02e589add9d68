"""What an answer must be: a JSON schema, a regex or a grammar in, a checked constraint out. No torch in here.

`hanlin.infer.guide` holds an answer to it. The llguidance library reads all three
(https://github.com/guidance-ai/llguidance). What is not enforced in full is an error before any work, never an answer
that only looks right.

    person = json_schema({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]})
    model.generate("A person: ", constraint=person)
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hanlin.core.errors import ConfigError
from hanlin.infer import grammar as grammars
from hanlin.infer import schema as schemas

LONGEST = 1 << 18
"""Most characters of a constraint."""
SPACE = r"[\x20\x0A\x0D\x09]{1,40}"
"""White space at one place in JSON: enough for an indented line; without an end a small model writes nothing else."""
ESCAPES = 'nrbtf\\"'
"""No \\uXXXX: characters stand for themselves, a key has one spelling, and there is no half of a character."""
LEXER_STEPS, LEXER_STATES, SYMBOLS = 500_000, 50_000, 200_000
"""What reading a constraint may cost, in the library's units; the worst pattern known stays under two seconds."""
TOO_LARGE = "make it simpler: smaller repeats {n,m}, fewer alternatives"


@dataclass(frozen=True)
class Constraint:
    """What an answer must be, checked as far as that goes without a vocabulary."""

    kind: Literal["json_schema", "regex", "grammar"]
    source: str
    """The schema as JSON, the pattern, or the grammar."""


def json_schema(schema: Mapping[str, Any] | bool | str) -> Constraint:
    """JSON that satisfies a schema (draft 2020-12): an object, or its text. Properties come in the schema's order.

    Raises:
        ConfigError: it is no schema, has a keyword that is not enforced (which is named), or nothing can satisfy it.
    """
    return _read(Constraint("json_schema", schemas.checked(schema, LONGEST)))


def any_json() -> Constraint:
    """Any JSON value."""
    return Constraint("json_schema", "{}")


def regex(pattern: str) -> Constraint:
    """A text that the whole pattern matches, in the syntax of Rust's regex: no look-around, no back references.

    Raises:
        ConfigError: the pattern is damaged, too large, or cannot be matched.
    """
    return _read(Constraint("regex", _sized(pattern)))


def grammar(lark: str) -> Constraint:
    """A text that a Lark grammar derives from its rule `start`.

    Syntax: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md

    Raises:
        ConfigError: the grammar is damaged, too large, or has no text of finite length.
    """
    if _sized(lark).lstrip().startswith("{"):
        raise ConfigError("the grammar is JSON, not Lark", 'write rules, such as: start: "yes" | "no"')
    for found in re.finditer(r"%json\s*(?=[{\[])", lark):
        try:
            inner, _ = json.JSONDecoder().raw_decode(lark, found.end())
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"a %json in the grammar holds no JSON: {error}", "mend it") from None
        schemas.checked(inner, LONGEST)
    grammars.check(lark)
    return _read(Constraint("grammar", lark))


def _sized(text: str) -> str:
    if len(text) > LONGEST:
        raise ConfigError(f"a constraint of {len(text):,} characters", f"give at most {LONGEST:,}")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigError("the constraint holds half a character", "give it as UTF-8 text")
    return text


def _read(constraint: Constraint) -> Constraint:
    """The constraint, if the library can read it; special tokens wait for a vocabulary."""
    from llguidance import LLMatcher

    told = LLMatcher.validate_grammar(spelled(constraint), limits=limits())
    if told and "no tokenizer" not in told:
        raise refusal(constraint, told)
    return constraint


def spelled(constraint: Constraint) -> str:
    """A constraint as the library takes it, with all its ways to be lenient off.

    Raises:
        ConfigError: it is nested more deeply than the library reads.
    """
    from llguidance import LLMatcher

    if constraint.kind == "regex":
        return LLMatcher.grammar_from_regex(constraint.source)
    if constraint.kind == "grammar":
        return LLMatcher.grammar_from_lark(constraint.source)
    strict = {"lenient": False, "coerce_one_of": False, "json_allowed_escapes": ESCAPES, "whitespace_pattern": SPACE}
    try:
        return LLMatcher.grammar_from_json_schema(constraint.source, overrides=strict)  # pyright: ignore
    except ValueError as error:  # nested more deeply than it reads
        raise refusal(constraint, str(error)) from None


def limits() -> Any:
    """What reading a constraint may cost."""
    from llguidance import LLParserLimits

    return LLParserLimits(
        initial_lexer_fuel=LEXER_STEPS, max_lexer_states=LEXER_STATES, max_grammar_size=SYMBOLS, verbose_errors=False
    )


def refusal(constraint: Constraint, told: str) -> ConfigError:
    """What the library says of a constraint, in our two lines."""
    told = re.sub(r"\s+", " ", told.removeprefix("WARNING: ").partition("\n   1 |")[0]).strip()
    told = told if len(told) <= 300 else f"{told[:299]}…"
    is_large = re.search(r"fuel|limit|too (?:big|large|complex|many)", told)
    return ConfigError(f"{constraint.kind}: {told}", TOO_LARGE if is_large else "mend it, or leave that part out")
