"""One way of writing: broken Unicode mended, forms of characters, white space, invisible characters, wrapped lines.

NFC changes nothing that one can see. NFKC also turns ﬁ into fi and ² into 2, and all of Chinese punctuation into ASCII
(，into a comma), which nobody writing Chinese wants: `form = "NFKC-zh"` leaves these marks as they are.
https://www.unicode.org/reports/tr15/, https://ftfy.readthedocs.io
"""

import re
import unicodedata
from itertools import pairwise
from typing import Literal

import ftfy
import regex

from hanlin.data import chinese
from hanlin.data.step import Change, Tags
from hanlin.data.view import HAN, View

FULL_WIDTH = re.compile("[\u3000-\u303f\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\uffe0-\uffe6…]+")
"""Marks that are wide in Chinese and Japanese."""
INVISIBLE = regex.compile(
    r"[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff--[\n\t]]", regex.V1
)
"""The joiners U+200C and U+200D stay: Persian, Hindi and emoji need them."""
SPACES = regex.compile(r"[\p{Zs}\t]+")
AFTER = re.compile(r"[ \t\u00a0\u3000]+$", re.M)
EMPTY_LINES = re.compile(r"\n{3,}")
LIST = re.compile(r"\s*(?:[-*•·#>|]|\d+[.)、]|[（(]\d+[)）]|第.{1,4}[章节条])")
MENDING = ftfy.TextFixerConfig(
    uncurl_quotes=False,
    fix_character_width=False,
    normalization=None,
    remove_control_chars=False,
    fix_latin_ligatures=False,
)
WIDE = re.compile(f"{HAN.pattern}|{FULL_WIDTH.pattern}")
WRAPPED = 0.6
"""A line so long, beside the longest of its paragraph, was broken because it was full."""
LEAST_FULL, LEAST_CHINESE = 40, 20
"""Where no line is longer, they are verse or a list."""


class Step(Change):
    """Mends, forms, spaces, characters."""

    mend: bool = True
    """Undo wrong decoding (â€™ for ’) and HTML entities, by ftfy."""
    form: Literal["", "NFC", "NFKC", "NFKC-zh"] = "NFC"
    """Unicode's form; see above."""
    invisible: bool = True
    """Take out control characters, characters of no width and marks of direction."""
    spaces: Literal["keep", "ends", "all"] = "ends"
    """ends: none at the ends of lines, two empty lines at most; all: every run is one space, indents go too."""
    characters: Literal["", "simplified", "traditional"] = ""
    """Chinese characters in one of the two scripts; empty: as they are."""
    join_lines: bool = False
    """Join lines that were broken for their width, and words broken by hyphens."""
    max_broken: float | None = 0.001
    """Largest share of characters that are lost (U+FFFD)."""

    def basis(self) -> list[str]:
        """OpenCC's door."""
        return [chinese.__file__]

    def change(self, view: View) -> tuple[str, Tags]:
        """The text, and how many characters each kind of change was about."""
        text, tags = view.text.replace("\r\n", "\n").replace("\r", "\n"), dict[str, float | int | str]()
        if self.mend:
            mended = "\n".join(_mended(line) for line in text.split("\n"))
            tags["mended"] = int(mended != text)
            text = mended
        if self.form:
            text = formed(text, self.form)
        if self.invisible:
            visible = INVISIBLE.sub("", text)
            tags["invisible"] = len(text) - len(visible)
            text = visible
        if self.join_lines:
            joined = "\n\n".join(_joined(part) for part in re.split(r"\n[^\S\n]*\n", text))
            tags["joined"] = text.count("\n") - joined.count("\n")
            text = joined
        if self.spaces != "keep":
            text = spaced(text, is_all=self.spaces == "all")
        if self.characters:
            other = chinese.converted(text, self.characters)
            tags["converted"] = sum(a != b for a, b in zip(text, other, strict=False))
            text = other
        tags["broken"] = text.count("\ufffd") / max(1, len(text))
        return text, tags


def _mended(line: str) -> str:
    """A line as it was meant; ftfy is asked only where there is something it could find."""
    return line if line.isascii() and "&" not in line else ftfy.fix_text(line, MENDING)


def formed(text: str, form: str) -> str:
    """In a form of Unicode; "NFKC-zh" leaves the wide marks of Chinese alone."""
    if text.isascii():
        return text
    if form != "NFKC-zh":
        return unicodedata.normalize(form, text)  # pyright: ignore[reportArgumentType]
    parts, at = [], 0
    for found in FULL_WIDTH.finditer(text):
        parts += [unicodedata.normalize("NFKC", text[at : found.start()]), found[0]]
        at = found.end()
    return "".join([*parts, unicodedata.normalize("NFKC", text[at:])])


def spaced(text: str, *, is_all: bool) -> str:
    """Without white space that says nothing."""
    if is_all:
        text = "\n".join(SPACES.sub(" ", line).strip() for line in text.split("\n"))
    else:
        text = AFTER.sub("", text.replace("\u00a0", " "))
    return EMPTY_LINES.sub("\n\n\n" if not is_all else "\n\n", text).strip("\n")


def _joined(paragraph: str) -> str:
    """A paragraph whose lines were broken when they were full, in one line. Lists, verse and code stay as they are."""
    lines = paragraph.split("\n")
    longest = max(map(len, lines))
    is_verse = all(line.lstrip()[:1].isupper() for line in lines)
    if is_verse or longest < (LEAST_CHINESE if HAN.search(paragraph) else LEAST_FULL):
        return paragraph
    found = lines[:1]
    for before, line in pairwise(lines):
        start = line.lstrip()
        if len(before) < WRAPPED * longest or line[:2].isspace() or not start or LIST.match(line):
            found.append(line)
            continue
        last = found[-1].rstrip()
        if last.endswith("-") and last[-2:-1].isalpha() and start[0].islower():
            found[-1] = last[:-1] + start
        else:
            has_gap = not (WIDE.match(last[-1]) and WIDE.match(start[0]))
            found[-1] = last + " " * has_gap + start
    return "\n".join(found)
