"""Whether a Lark grammar can ever come to an end: its text in, an error out if not.

The grammar itself is read by the library behind. This sees only how rules name each other: a rule ends if one of its
alternatives names only rules that end. Whatever it does not understand counts as ending.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from hanlin.core.errors import ConfigError

TOKEN = re.compile(
    r"""(?P<skip>\s*\n[ \t]*(?=\|)|[ \t\r]+|//[^\n]*|\#[^\n]*)
    |(?P<line>\n\s*)
    |(?P<text>"(?:\\.|[^"\\\n])*"i?|/(?![/*])(?:\\.|[^/\\\n])+/[a-z]*|<[^>\n]*>|@[\w-]+)
    |(?P<head>^[?!]*[\w-]+(?:::[^\s:]+)?(?:\[[^\]\n]*\])?\s*:)
    |(?P<name>[A-Za-z_][\w-]*)
    |(?P<times>[?*]|\{\s*0*\s*(?:,\s*\d*\s*)?\}|~\s*0+\s*(?:\.\.\s*\d+)?)
    |(?P<mark>[()\[\]|])
    |(?P<other>.)""",
    re.X | re.M,
)
ATTRIBUTES = re.compile(r"^[?!]*[\w-]+\[([^\]\n]*)\]\s*:", re.M)
NOT_DONE = ("temperature", "max_tokens", "stop")
MOST_RULES = 200
"""Rules of one grammar. The library follows them by recursion; a chain of 500 overflows a stack of 1 MB."""


class Piece(NamedTuple):
    """A part of a rule: what kind it is and how it is written."""

    kind: str
    text: str


def check(grammar: str) -> None:
    """Refuse a grammar that nothing of finite length satisfies, or that asks for more than which texts are allowed.

    Raises:
        ConfigError: so it is.
    """
    for found in ATTRIBUTES.finditer(grammar):
        for name in NOT_DONE:
            if re.search(rf"(?:^|,)\s*{name}\s*=", found[1]):
                raise ConfigError(f"the grammar's {found[0].strip()} sets {name}, which is not supported", "remove it")
    rules = _rules(grammar)
    if len(rules) > MOST_RULES:
        raise ConfigError(f"a grammar of {len(rules):,} rules", f"give at most {MOST_RULES:,}")
    ended: set[str] = set()
    while True:
        more = {name for name, body in rules.items() if name not in ended and _ends(list(body), rules, ended)}
        if not more:
            break
        ended |= more
    if "start" in rules and "start" not in ended:
        raise ConfigError("no text of finite length satisfies the grammar", "give start an alternative that ends")


def _rules(grammar: str) -> dict[str, list[Piece]]:
    rules: dict[str, list[Piece]] = {}
    body: list[Piece] = []
    for piece in _pieces(grammar):
        if piece.kind == "head":
            name = re.split(r"\[|::|\s*:", piece.text.lstrip("?!"))[0]
            body = rules.setdefault(name, [])
            if body:  # defined twice: the library says so
                body.append(Piece("mark", "|"))
        else:
            body.append(piece)
    return rules


def _pieces(grammar: str) -> Iterator[Piece]:
    """Heads and what follows them; directives such as %json count as a text that ends."""
    for line in re.sub(r"%(?:json|regex|llguidance)\s*\{", '"%" {', grammar).split("\n"):
        if line.lstrip().startswith("%"):
            continue
        for found in TOKEN.finditer(line):
            if found.lastgroup not in ("skip", "line", "other"):
                yield Piece(found.lastgroup or "", found[0])


def _ends(body: list[Piece], rules: dict[str, list[Piece]], ended: set[str]) -> bool:
    """Whether one alternative has only parts that end or may be left out."""
    stack: list[list[bool]] = [[True]]  # the alternatives of each open bracket
    for place, piece in enumerate(body):
        is_optional = place + 1 < len(body) and body[place + 1].kind == "times"
        if piece.text in ("(", "["):
            stack.append([True])
            continue
        if piece.text == "|" and piece.kind == "mark":
            stack[-1].append(True)
            continue
        if piece.text in (")", "]") and len(stack) > 1:
            is_ended = any(stack.pop()) or piece.text == "]" or is_optional
        else:
            is_ended = piece.kind != "name" or piece.text not in rules or piece.text in ended or is_optional
        stack[-1][-1] &= is_ended
    return any(stack[0])
