"""A form of calls and the tools in, a grammar out that an answer with calls must follow.

"auto": text is free until a call opens; from there on it must be a call of one of the tools, and only calls follow.
"required": nothing but calls. Arguments satisfy each tool's schema. Syntax of the grammar:
https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hanlin.core.errors import ConfigError
from hanlin.infer.constraint import Constraint, limits, refusal, spelled
from hanlin.serve.tools.form import MARKS, Form
from hanlin.serve.tools.tool import Tool, Wanted

MOST_CALLS = 16
"""Calls of one answer: small models go on for ever."""
MOST_LETTERS = 1 << 20
"""Characters of a grammar; 128 tools of usual size make a tenth of it, and it is read in 0.2 s."""
TEXT = "/(?s:.*)/"
SPACES = r"[ \t\r\n]*"
"""What JSON takes for white space."""
GAP = r"/[ \n]{0,4}/"
ID = "/[a-zA-Z0-9]{9}/"


class Special(NamedTuple):
    """The special tokens of a vocabulary, for which no text can stand."""

    id_of: Callable[[str], int | None]
    """The id of a text that is one of them."""
    free: Sequence[int]
    """Those that may stand in text, in order, such as the marks of thoughts: neither an end nor a mark of calls."""


def constraint(form: Form, wanted: Wanted, parallel: bool, special: Special) -> Constraint | None:
    """What an answer must be.

    Raises:
        ConfigError: a tool's schema is not supported, or all of it together is too large.
    """
    if wanted.mode == "none" or not wanted.tools:
        return None
    most = 1 if wanted.is_one or not parallel or form.between is None else MOST_CALLS
    rules = {f"args_{place}": f"%json {tool.schema()}" for place, tool in enumerate(wanted.tools)}
    rules["call"] = _parts(form.before, special) + " one"
    rules["one"] = " | ".join(
        f"{_parts(tool.name + form.middle, special)} args_{place} {_parts(form.after, special)}"
        for place, tool in enumerate(wanted.tools)
    )
    more = f" ({_parts(form.between or '', special)} call){{0,{most - 1}}}" if most > 1 else ""
    rest = f"{more} {_parts(form.last, special)}"
    if wanted.mode == "required":
        rules["start"] = f"{_parts(form.first, special)} call{rest}"
    else:
        rules |= _free(form, wanted.tools, rest, most, special)
    lark = "\n".join(f"{name}: {body}" for name, body in rules.items())
    if len(lark) > MOST_LETTERS:
        what = f"the tools make a grammar of {len(lark):,} characters"
        raise ConfigError(what, f"at most {MOST_LETTERS:,}: give fewer tools, or smaller schemas")
    return _readable(Constraint("grammar", lark))


def _ranges(tokens: Sequence[int]) -> str:
    """Ids as the grammar lists them: 1-3,7-7."""
    begins = [token for token in tokens if token - 1 not in tokens]
    ends = [token for token in tokens if token + 1 not in tokens]
    return ",".join(f"{begin}-{end}" for begin, end in zip(begins, ends, strict=True))


def _free(form: Form, tools: tuple[Tool, ...], rest: str, most: int, special: Special) -> dict[str, str]:
    """Text, or text and an opening, or what begins as a call does without one; from there on it is a call."""
    rules = {"answer": "text | bare | fenced", "text": TEXT, **_bare(tools, most)}
    rules["start"] = f"(text <[{_ranges(special.free)}]>)* answer" if special.free else "answer"
    if form.opening:
        token = special.id_of(form.opening)
        heads = "head" if token is None else f"(head | text <[{token}]>)"  # one token, or spelled out
        lead = _parts((form.first + form.before).removeprefix(form.opening), special)
        rules["answer"] += f" | {heads} {lead} one{rest}"
        rules["head[lazy]"] = f"/{_slashed(r'(?s:.*)' + re.escape(form.opening))}/"
    return rules


def _bare(tools: tuple[Tool, ...], most: int) -> dict[str, str]:
    """Calls without marks, perhaps in a block of code: an object that names a tool and comes to its arguments."""
    more = f" (/[,;]?[ \\n]{{1,4}}/ object){{0,{most - 1}}}" if most > 1 else ""
    rules = {"bare": "object" + more}
    for kind, fence in (("object", ""), ("first", "```(?:json)? ")):
        bodies: list[str] = []
        for place, tool in enumerate(tools):
            name = re.escape(json.dumps(tool.name, ensure_ascii=False))
            head = rf' {fence}\{{ (?:"type" : "function" , )?"name" : {name} , "(?:parameters|arguments)" :'
            rules[f"{kind}_{place}[lazy]"] = f"/{_slashed(head.replace(' ', SPACES))}/"
            bodies.append(f'{kind}_{place} {GAP} args_{place} {GAP} "}}"')
        rules[kind] = " | ".join(bodies)
    return {**rules, "fenced": f'first{more} {GAP} "```"'}


def _slashed(pattern: str) -> str:
    """A pattern as it may stand between slashes."""
    return pattern.replace("/", r"\/").replace("\n", r"\n")


def _parts(text: str, special: Special) -> str:
    """A text as the grammar spells it: special tokens by their id, the rest literally; \\0 is an id of a call."""
    parts: list[str] = []
    begin = 0
    for found in [*MARKS.finditer(text)]:
        if (token := special.id_of(found[0])) is not None:
            parts += [*_literal(text[begin : found.start()]), f"<[{token}]>"]
            begin = found.end()
    return " ".join([*parts, *_literal(text[begin:])])


def _literal(text: str) -> list[str]:
    before, gap, after = text.partition("\0")
    named = [json.dumps(part, ensure_ascii=False) if part else "" for part in (before, after)]
    return [part for part in (named[0], ID if gap else "", named[1]) if part]


def _readable(made: Constraint) -> Constraint:
    """The constraint, if the library can read it; special tokens wait for a vocabulary."""
    from llguidance import LLMatcher

    told = LLMatcher.validate_grammar(spelled(made), limits=limits())
    if told and "no tokenizer" not in told:
        raise refusal(made, told)
    return made
