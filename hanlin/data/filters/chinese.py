"""How Chinese text is made: words, by jieba, their lengths, stop words, marks. Other texts pass unmeasured.

Running Chinese has a stop word in every three or four words; lists of products, addresses and keywords have none, and
machine-made text has words of one character or of many. Data-Juicer asks for 0.3 of its own, longer list of stop words.
"""

from functools import cache

import stopwordsiso

from hanlin.data.step import Filter, Tags
from hanlin.data.view import HAN, LETTER, View


class Step(Filter):
    """Share of Han characters, of stop words, of single characters, of different words, and of marks."""

    min_han: float | None = 0.3
    """Least share of Han characters among letters."""
    min_stop_words: float | None = 0.05
    """Least share of words that are stop words, of the 794 of stopwordsiso; old poetry has as few as none."""
    max_single: float | None = 0.85
    """Largest share of words of one character; classical Chinese has more: none."""
    min_different: float | None = None
    """Least share of different words."""
    max_marks: float | None = 0.4
    """Largest share of marks among words and marks."""
    max_stretch: int | None = 250
    """Most characters in a row without any mark, space or end of line."""

    def measure(self, view: View) -> Tags:
        """Shares, for Chinese texts."""
        words = view.wordy
        if not view.is_chinese or not words:
            return {}
        han = len(HAN.findall(view.text))
        return {
            "han": han / max(1, len(LETTER.findall(view.text))),
            "words": len(words),
            "mean_word": sum(map(len, words)) / len(words),
            "stop_words": sum(map(stop_words("zh").__contains__, words)) / len(words),
            "single": sum(len(word) == 1 for word in words) / len(words),
            "different": len(set(words)) / len(words),
            "marks": 1 - len(words) / len(view.words),
            "stretch": longest_stretch(view.text),
        }


def longest_stretch(text: str) -> int:
    """Characters in the longest run of letters and digits."""
    longest = start = 0
    for at, character in enumerate(text):
        if not character.isalnum():
            longest, start = max(longest, at - start), at + 1
    return max(longest, len(text) - start)


@cache
def stop_words(language: str) -> frozenset[str]:
    """Of stopwordsiso; none for languages that it does not have."""
    return frozenset(stopwordsiso.stopwords(language)) if stopwordsiso.has_lang(language) else frozenset()
