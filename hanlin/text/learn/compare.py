"""Tokenizers side by side: texts in, what each makes of them by language, and what it loses, out.

A line counts as Chinese (with Japanese) when at least a third of its letters are, as code when it looks like a program,
as English when its letters are Latin (German is English here), else as other: by script, not by meaning.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from hanlin.text.long import AROUND
from hanlin.text.tokenizer import Tokenizer

HAN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
LETTER = re.compile(r"[^\W\d_]")
LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
CODE = re.compile(r"[{};=<>()\[\]&|/\\$`^@+]")
STATEMENT = re.compile(
    r"^\s*(?:#include|def |class |return\b|import |from \w+ import|static |struct |if \(|//|/\*|\$ )"
)
LANGUAGES = ("English", "Chinese", "code", "other")
RUN = 1 << 15
"""Characters of one language that are encoded at once."""


@dataclass(frozen=True)
class Figures:
    """What a tokenizer makes of the text of one language; figures of several texts add up."""

    bytes: int = 0
    characters: int = 0
    words: int = 0
    """Runs between white space; Chinese has none."""
    tokens: int = 0
    unknown: int = 0
    """Tokens that stand for text the vocabulary does not know."""
    lost_bytes: int = 0
    """Bytes of characters that do not come back when the tokens are decoded."""

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(*(one + two for one, two in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def bytes_per_token(self) -> float:
        """The larger, the longer a text fits the context, and the faster it is written."""
        return self.bytes / self.tokens if self.tokens else 0.0

    @property
    def characters_per_token(self) -> float:
        """The same in characters."""
        return self.characters / self.tokens if self.tokens else 0.0

    @property
    def tokens_per_word(self) -> float | None:
        """Fertility; None where words are not set apart by space."""
        return self.tokens / self.words if self.words else None


def language(line: str) -> str:
    """English, Chinese, code or other."""
    letters = len(LETTER.findall(line))
    if letters and 3 * len(HAN.findall(line)) >= letters:
        return "Chinese"
    marks = len(CODE.findall(line))
    if STATEMENT.match(line) or (marks >= 3 and 8 * marks >= len(line.strip())):
        return "code"
    return "English" if letters and 2 * len(LATIN.findall(line)) > letters else "other"


def runs(blocks: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The text in stretches of one language, with its name. An empty line belongs to what it follows."""
    held, current = "", ""
    for line in _lines(blocks):
        spoken = language(line) if line.strip() else current or "other"
        if held and (spoken != current or len(held) > RUN):
            yield current, held
            held = ""
        held, current = held + line, spoken
    if held:
        yield current, held


def measured(tokenizer: Tokenizer, language: str, text: str, after: str = "") -> Figures:
    """The figures of one stretch; special tokens that are spelled out in it are text like any other.

    `after` is how the text goes on: an end of text is cut otherwise, two line breaks there are often one token.
    """
    whole, rest = _sizes(tokenizer, text + after), _sizes(tokenizer, after)
    tokens, unknown, lost = (max(0, one - two) for one, two in zip(whole, rest, strict=True))
    words = 0 if language == "Chinese" else len(text.split())
    return Figures(len(text.encode()), len(text), words, tokens, unknown, lost)


def _sizes(tokenizer: Tokenizer, text: str) -> tuple[int, int, int]:
    """Tokens of a text, those of them that are unknown, bytes that do not come back."""
    if not text:
        return 0, 0, 0
    tokens = tokenizer.encode(text, add_special=False, parse_special=False)
    back = tokenizer.decode(tokens)
    lost = Counter() if back == text else Counter(text) - Counter(back)
    unknown = 0 if tokenizer.unk is None else tokens.count(tokenizer.unk)
    return len(tokens), unknown, sum(len(character.encode()) * count for character, count in lost.items())


def compared(tokenizers: dict[str, Tokenizer], blocks: Iterable[str]) -> Iterator[dict[str, dict[str, Figures]]]:
    """Figures by name of tokenizer and by language, growing stretch by stretch; the last are the text's."""
    figures = {name: {spoken: Figures() for spoken in LANGUAGES} for name in tokenizers}
    for (spoken, text), (_, after) in pairwise(chain(runs(blocks), [("", "")])):
        for name, tokenizer in tokenizers.items():
            more = measured(tokenizer, spoken, text, after[:AROUND])
            figures[name][spoken] = figures[name][spoken] + more
        yield figures


def _lines(blocks: Iterable[str]) -> Iterator[str]:
    """Lines with their ends; a longer one than a stretch comes in parts."""
    held = ""
    for block in blocks:
        *whole, held = (held + block).splitlines(keepends=True) or [""]
        yield from whole
        if len(held) > RUN:
            yield held
            held = ""
    if held:
        yield held
