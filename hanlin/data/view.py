"""A text in; its words, lines and sentences out, each found once however many filters ask.

Words are runs of letters and digits, with the hyphens and apostrophes inside them, and each mark by itself. Chinese has
no spaces: a text that is mostly Chinese is cut by jieba (in Rust, rjieba). `tokens="spacy"` gives the words
of spaCy's blank pipelines (Chinese: jieba), which datatrove counts.
"""

import re
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

import rjieba

WORD = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")
HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
LETTER = re.compile(r"[^\W\d_]")
SENTENCE_END = re.compile(r"[.!?](?=[\s\"'”’)\]]|$)|[。！？；]+|…{2}")
LINES = re.compile(r"\n+")
PARAGRAPHS = re.compile(r"\n{2,}")
CHINESE_SHARE = 0.3
"""Of the letters; a Chinese character says as much as about four Latin letters."""
PROBE = 20_000
"""Characters from the beginning that tell the script."""


class View:
    """A text as filters look at it."""

    def __init__(self, text: str, language: str = "") -> None:
        """`language`: as known so far, such as "zh"; empty: the script decides."""
        self.text = text
        self.language = language
        self._spacy: dict[str, list[str]] = {}

    @cached_property
    def is_chinese(self) -> bool:
        """Whether it is to be measured as Chinese."""
        if self.language:
            return self.language in ("zh", "yue", "wuu", "lzh", "cmn")
        if self.text.isascii():
            return False
        head = self.text[:PROBE]
        return len(HAN.findall(head)) > CHINESE_SHARE * max(1, len(LETTER.findall(head)))

    @cached_property
    def words(self) -> Sequence[str]:
        """Words and marks in order."""
        if not self.is_chinese:
            return WORD.findall(self.text)
        return [word for word in rjieba.cut(self.text) if not word.isspace()]

    @cached_property
    def wordy(self) -> Sequence[str]:
        """The words among them: what has a letter or a digit."""
        return [word for word in self.words if word[0].isalnum() or any(map(str.isalnum, word))]

    def tokens(self, kind: str = "") -> Sequence[str]:
        """Words of another tokenizer: "spacy"; "" for our own."""
        if not kind:
            return self.words
        if kind not in self._spacy:
            self._spacy[kind] = spacy_words(self.text, "zh" if self.is_chinese else "en")
        return self._spacy[kind]

    @cached_property
    def lines(self) -> Sequence[str]:
        """Lines that are not blank, as they stand."""
        return [line for line in self.text.split("\n") if line.strip()]

    @cached_property
    def paragraphs(self) -> Sequence[str]:
        """What stands between blank lines."""
        return PARAGRAPHS.split(self.text.strip())

    @cached_property
    def sentences(self) -> int:
        """How many: by end marks, or lines where there are more of them than marks."""
        return max(1, len(SENTENCE_END.findall(self.text))) if self.text.strip() else 0

    @cached_property
    def lower(self) -> str:
        """In small letters."""
        return self.text.lower()


def spacy_words(text: str, language: str) -> list[str]:
    """Words as spaCy's blank pipeline cuts them, white space left out."""
    return [word for token in _spacy(language)(text) if (word := token.text.strip())]


@cache
def _spacy(language: str) -> Any:
    import spacy

    if language == "zh":
        pipe = spacy.blank("zh", config={"nlp": {"tokenizer": {"segmenter": "jieba"}}})
    else:
        pipe = spacy.blank(language)
    pipe.max_length = 1 << 27
    return pipe.tokenizer
