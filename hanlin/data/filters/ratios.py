"""Shares of kinds of characters, and lengths of lines: what is a table, a list of links, a hash or noise falls.

Bounds as in Data-Juicer (lines, special characters) and NeMo Curator (figures, spaces, brackets, addresses); special
characters are neither letters, figures, white space nor a language's usual marks. Chinese has few spaces.
"""

import re

import regex

from hanlin.data.step import Filter, Tags
from hanlin.data.view import View

LETTERS = regex.compile(r"[\p{L}\p{M}]")
DIGITS = regex.compile(r"\p{Nd}")
SPACES = re.compile(r"\s")
USUAL = regex.compile(r"[,.;:!?'\"()\-–—‘’“”，。、；：？！（）《》「」『』…·]")
BRACKETS = re.compile(r"[()\[\]{}（）【】〔〕<>]")
CAPITALS = regex.compile(r"\p{Lu}")
CASED = regex.compile(r"[\p{Lu}\p{Ll}]")
ADDRESS = re.compile(r"https?://[^\s<>\"'）)，。]+|www\.[^\s<>\"'）)，。]+")
STRETCH = re.compile(r"(.)\1{9,}")


class Step(Filter):
    """Letters, figures, spaces, brackets, special characters, capitals, addresses, rows of one character, lines."""

    min_letters: float | None = 0.5
    """Least share of letters among characters that are no white space."""
    max_digits: float | None = 0.2
    """Largest share of figures among these."""
    max_special: float | None = 0.25
    """Largest share of special characters among these."""
    max_brackets: float | None = 0.1
    """Largest share of brackets among these."""
    max_capitals: float | None = 0.5
    """Largest share of capitals among letters that have both forms; texts with fewer than 50 of these pass."""
    max_spaces: float | None = 0.4
    """Largest share of white space among all characters."""
    max_addresses: float | None = 0.2
    """Largest share of characters in web addresses."""
    max_stretches: float | None = 0.1
    """Largest share of characters in rows of ten or more of the same."""
    min_mean_line: float | None = 10
    """Least mean length of a line that is not blank."""
    min_mean_line_zh: float | None = 4
    """The same for Chinese."""
    max_mean_line: float | None = None
    """Largest mean length of a line."""
    max_longest_line: int | None = 100_000
    """Most characters of a line."""

    def measure(self, view: View) -> Tags:
        """The shares that the bounds are on; 0 letters of a blank text."""
        text, whole = view.text, len(view.text)
        spaces = len(SPACES.findall(text))
        solid = whole - spaces
        if not solid:
            return {"letters": 0}
        letters, digits = len(LETTERS.findall(text)), len(DIGITS.findall(text))
        cased = len(CASED.findall(text))
        lengths = [len(line) for line in view.lines]
        tags = {
            "letters": letters / solid,
            "digits": digits / solid,
            "special": (solid - letters - digits - len(USUAL.findall(text))) / solid,
            "brackets": len(BRACKETS.findall(text)) / solid,
            "capitals": len(CAPITALS.findall(text)) / cased if cased >= 50 else 0.0,
            "spaces": spaces / whole,
            "addresses": sum(map(len, ADDRESS.findall(text))) / whole,
            "stretches": sum(len(found[0]) for found in STRETCH.finditer(text)) / whole,
        }
        return {**tags, "mean_line": sum(lengths) / len(lengths), "longest_line": max(lengths)}
