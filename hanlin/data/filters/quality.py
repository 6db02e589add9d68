"""Quality by counts: words, marks, lines. Documents in, bounds on what is counted out.

Bounds of Gopher (table A1, https://arxiv.org/abs/2112.11446) for texts with spaces; of Chinese, a word has one to two
characters, and the stop words are Chinese. A word is one with a letter or digit; symbols are held against words and
marks together.
`compat = "datatrove"` counts spaCy's words, as it does; `"dolma"` takes the median length, its bullets, and … alone.
"""

import re
from collections.abc import Sequence
from statistics import median
from typing import Literal

from hanlin.data.marks import marks
from hanlin.data.step import Filter, Tags
from hanlin.data.view import View

STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
STOP_WORDS_ZH = frozenset("的 了 是 在 和 有 我 不 人 这 他 也 就 与 为 以 之 而 于 其".split())
ALPHABETIC = re.compile(r"[^\W\d_]")


class Step(Filter):
    """Words, their length, symbols, bullets, ellipses, letters and stop words."""

    compat: Literal["", "datatrove", "dolma"] = ""
    """Count as this project does."""
    min_words: int | None = 50
    """Fewest words, marks left out."""
    max_words: int | None = 100_000
    """Most words."""
    min_mean_word: float | None = 3
    """Least mean length of a word, characters."""
    max_mean_word: float | None = 10
    """Largest mean length of a word, characters."""
    min_mean_word_zh: float | None = 1.1
    """The same for Chinese."""
    max_mean_word_zh: float | None = 4
    """The same for Chinese."""
    max_hashes: float | None = 0.1
    """Most # to a word."""
    max_ellipses: float | None = 0.1
    """Most ... and … to a word."""
    max_bullet_lines: float | None = 0.9
    """Largest share of lines that begin with a bullet."""
    max_ellipsis_lines: float | None = 0.3
    """Largest share of lines that end in an ellipsis."""
    min_alphabetic: float | None = 0.8
    """Least share of words that have a letter; datatrove and dolma count marks as words here."""
    min_alphabetic_zh: float | None = 0.6
    """The same for Chinese."""
    min_stop_words: int | None = 2
    """Fewest different stop words, of eight English or twenty Chinese ones."""

    def measure(self, view: View) -> Tags:
        """The counts that the bounds are on."""
        is_trove = self.compat == "datatrove"
        words = view.text.split() if self.compat == "dolma" else view.tokens("spacy" if is_trove else "")
        plain = _plain(words) if is_trove else words if self.compat == "dolma" else view.wordy
        if not words or not plain:
            return {"words": 0, "alphabetic": 0, "stop_words": 0}
        lengths = [len(word) for word in plain]
        lines = view.text.splitlines() or [""]
        bullets = ("*", "-") if self.compat == "dolma" else ("•", "-")
        ellipses = ("…",) if self.compat == "dolma" else ("...", "…")
        of_letters = words if self.compat else plain
        stops = STOP_WORDS_ZH if view.is_chinese and not self.compat else STOP_WORDS
        return {
            "words": len(plain),
            "mean_word": median(lengths) if self.compat == "dolma" else sum(lengths) / len(lengths),
            "hashes": view.text.count("#") / len(words),
            "ellipses": sum(map(view.text.count, ellipses)) / len(words),
            "bullet_lines": sum(line.lstrip().startswith(bullets) for line in lines) / len(lines),
            "ellipsis_lines": sum(line.rstrip().endswith(ellipses) for line in lines) / len(lines),
            "alphabetic": sum(1 for word in of_letters if ALPHABETIC.search(word)) / len(of_letters),
            "stop_words": len(stops.intersection(words)),
        }


def _plain(words: Sequence[str]) -> list[str]:
    """Words that are more than marks, by datatrove's list of marks."""
    known = marks()
    return [word for word in words if not known.issuperset(word)]
