"""Which characters count as punctuation, and which end a sentence, where datatrove's figures are to be met.

Its list is made of common marks, of control characters and of Unicode's sentence ends:
https://github.com/huggingface/datatrove (utils/text.py), https://www.unicode.org/reports/tr44/#Sentence_Terminal
"""

import re
import unicodedata
from functools import cache

import regex

COMMON = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" + "«´»–—“”„’…►━∶、。《》「」【】〈（），．：；？～％１！〉"
NUMBERS = regex.compile(r"\p{Nd}+([.,،٫⎖⎗⎘]\p{Nd}+)?")
SPACES = re.compile(r"\s+")


@cache
def terminal() -> frozenset[str]:
    """Characters that end a sentence in some script."""
    return frozenset(regex.findall(r"\p{Sentence_Terminal}", "".join(map(chr, range(0x110000))))) | set("៖៙៚")


@cache
def marks() -> frozenset[str]:
    """Characters that are no part of words."""
    return frozenset(COMMON) | {chr(code) for code in (*range(10 - 1), *range(11, 32), *range(127, 160))} | terminal()


@cache
def _spaces() -> dict[int, str]:
    plain = {ord(mark): " " for mark in COMMON}
    return plain | dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)), " ")


def simplified(text: str) -> str:
    """A text as near duplicates are compared: small letters, numbers as 0, no marks, single spaces, no accents."""
    text = NUMBERS.sub("0", text.lower()).translate(_spaces())
    text = SPACES.sub(" ", text.strip())
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return text.strip()
