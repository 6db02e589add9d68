"""The tour hands the model real texts: how surprised is it, word by word?"""

import math
from collections.abc import Iterator

from hanlin.cli.language import Language
from hanlin.cli.tour.guide import Guide, text
from hanlin.cli.tour.notes import Figures, Line, Note, Table
from hanlin.cli.tour.plots import line

TITLE = {"en": "How well it knows a text", "zh": "它有多熟悉一段文字"}
WHY = {
    "en": "Bits per byte: how much the model still needs to be told of a text. 8 is knowing nothing; less is better.",
    "zh": "每字节比特数：一段文字还有多少需要告诉它。8 表示一无所知，越低越好。",
}
COLUMNS = {"en": "text|bytes|tokens|perplexity|bits per byte", "zh": "文本|字节|词元|困惑度|每字节比特"}
NAMES = {
    "en": {"en": "Pride and Prejudice, 1813", "zh": "The Peach Blossom Spring, 421 (Chinese)"},
    "zh": {"en": "《傲慢与偏见》（英文，1813）", "zh": "《桃花源记》（421）"},
}
KNOWS = {
    "en": "It has read much more like “{best}” than like the other.",
    "zh": "它读过的文字，更像“{best}”，而不是另一篇。",
}
PLOT = {"en": "Surprise along “{name}”", "zh": "读“{name}”时的意外程度"}
ACROSS = {"en": "tokens", "zh": "词元"}
UP = {"en": "bits", "zh": "比特"}


def run(guide: Guide) -> Iterator[Note]:
    """The two classics scored, and the surprise along the one it knows better."""
    names = NAMES[guide.lang]
    texts: dict[Language, str] = {"en": text("en"), "zh": text("zh")}
    scores = {language: guide.model.score(content) for language, content in texts.items()}
    rows = tuple(
        (names[key], f"{one.bytes:,}", f"{one.tokens:,}", f"{one.perplexity:,.1f}", f"{one.bits_per_byte:.2f}")
        for key, one in scores.items()
    )
    yield Table(tuple(guide.say(COLUMNS).split("|")), rows)
    best: Language = "en" if scores["en"].bits_per_byte <= scores["zh"].bits_per_byte else "zh"
    yield Line(guide.say(KNOWS, best=names[best]))
    said = guide.model.next(texts[best]).said
    bits = [-one.logprob / math.log(2) for one in said if one.logprob is not None]
    yield line(bits, guide.say(PLOT, name=names[best]), guide.say(ACROSS), guide.say(UP))
    yield Figures({f"bits_per_byte_{key}": round(one.bits_per_byte, 4) for key, one in scores.items()})
