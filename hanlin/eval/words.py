"""Words of a text in any language, for metrics that count words: text in, a list of words out.

Runs of letters and digits in lower case; a Chinese or Japanese character is a word of its own, and so is a letter of
Thai, Lao, Khmer or Burmese, which are written without spaces too. ASCII text gives exactly what the code of ROUGE
gives, and no text of any language comes out empty.
"""

import re

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u30ff\u31f0-\u31ff"  # radicals, 々, numerals, kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")
ROUGE = re.compile(r"[a-z0-9]+")


def words(text: str) -> list[str]:
    """Words of a text in any language, in lower case."""
    return WORD.findall(text.lower())


def rouge_words(text: str) -> list[str]:
    """What ROUGE's own code takes for words: nothing at all of a Chinese text."""
    return ROUGE.findall(text.lower())
