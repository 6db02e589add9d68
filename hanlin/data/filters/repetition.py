"""Repetition: the share of a text that is said before in it. Documents in, bounds on shares out.

Gopher, table A1 (https://arxiv.org/abs/2112.11446). Shares are of all characters, and copies after the first count.
`compat = "dolma"`: shares are of characters without white space, and every copy of what occurs twice counts, the
first one too. `"datatrove"`: sequences are of spaCy's words and of marks, which are left out otherwise.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import UInt64

from hanlin.data.step import Filter, Tags
from hanlin.data.view import LINES, View

TOP = (2, 3, 4)
COPIED = (5, 6, 7, 8, 9, 10)
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class Step(Filter):
    """Repeated lines, paragraphs and word sequences."""

    compat: Literal["", "datatrove", "dolma"] = ""
    """Count as this project does."""
    max_paragraphs: float | None = 0.3
    """Largest share of paragraphs that are copies."""
    max_paragraph_characters: float | None = 0.2
    """Largest share of characters in such paragraphs."""
    max_lines: float | None = 0.3
    """Largest share of lines that are copies."""
    max_line_characters: float | None = 0.2
    """Largest share of characters in such lines."""
    max_top_2: float | None = 0.2
    """Largest share of characters in the commonest pair of words."""
    max_top_3: float | None = 0.18
    """The same of three words."""
    max_top_4: float | None = 0.16
    """The same of four words."""
    max_copied_5: float | None = 0.15
    """Largest share of characters in sequences of five words that occurred before."""
    max_copied_6: float | None = 0.14
    """The same of six words."""
    max_copied_7: float | None = 0.13
    """The same of seven words."""
    max_copied_8: float | None = 0.12
    """The same of eight words."""
    max_copied_9: float | None = 0.11
    """The same of nine words."""
    max_copied_10: float | None = 0.1
    """The same of ten words."""
    min_characters: int | None = 1
    """Fewest characters."""

    def measure(self, view: View) -> Tags:
        """The shares that the bounds are on."""
        text = view.text
        if not text:
            return {"characters": 0}
        is_dolma = self.compat == "dolma"
        words = text.split() if is_dolma else view.tokens("spacy") if self.compat else view.wordy
        size = sum(map(len, words)) or 1 if is_dolma else len(text)
        tags: dict[str, float | int | str] = {"characters": len(text)}
        for name, parts in (("paragraph", view.paragraphs), ("line", LINES.split(text))):
            count, characters = copies(parts, is_dolma)
            tags[f"{name}s"] = count / len(parts)
            tags[f"{name}_characters"] = characters / size
        grams = Grams(words)
        for n in TOP:
            tags[f"top_{n}"] = grams.top(n, 0 if is_dolma else 1, counts_once=bool(self.compat)) / size
        for n in COPIED:
            tags[f"copied_{n}"] = (grams.every_copy(n) if is_dolma else grams.copied(n)) / size
        return tags


def copies(parts: Sequence[str], counts_first: bool) -> tuple[int, int]:
    """How many parts are copies, and their characters."""
    if len(parts) == len(set(parts)):
        return 0, 0
    more = [(part, count - (0 if counts_first else 1)) for part, count in Counter(parts).items() if count > 1]
    return sum(count for _, count in more), sum(len(part) * count for part, count in more)


class Grams:
    """Sequences of words, by 64-bit hashes, and their characters."""

    def __init__(self, words: Sequence[str]) -> None:
        known: dict[str, int] = {}
        self._ids = np.array([known.setdefault(word, len(known) + 1) for word in words], np.uint64)
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        self._ends = np.concatenate([[0], np.cumsum(lengths)])
        self._hashes: list[UInt64[np.ndarray, " n"]] = [self._ids]
        self._has_copies = True

    def _of(self, n: int) -> UInt64[np.ndarray, " m"]:
        while len(self._hashes) < n:
            shorter, at = self._hashes[-1], len(self._hashes)
            self._hashes.append(shorter[:-1] * MULTIPLIER + self._ids[at:] if len(shorter) else shorter)
        return self._hashes[n - 1]

    def characters(self, at: int, n: int) -> int:
        """Of n words from the one at `at` on."""
        return int(self._ends[at + n] - self._ends[at])

    def top(self, n: int, between: int, *, counts_once: bool) -> int:
        """Characters of the commonest n words, all places together, `between` more for each gap.

        `counts_once`: also where none comes twice, as Gopher has it; short texts fall for that.
        """
        hashes = self._of(n)
        if not len(hashes):
            return 0
        ordered = np.sort(hashes)
        begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        counts = np.diff(np.append(begins, len(ordered)))
        most = int(counts.max())
        if most == 1 and not counts_once:
            return 0
        at = 0 if most == 1 else int(np.isin(hashes, ordered[begins[counts == most]]).argmax())
        return (self.characters(at, n) + between * (n - 1)) * most

    def copied(self, n: int) -> int:
        """Characters of sequences of n words that occurred before, none counted twice."""
        if not self._has_copies:  # where no five words come again, no ten do
            return 0
        hashes = self._of(n)
        ordered = np.sort(hashes)
        self._has_copies = bool((ordered[1:] == ordered[:-1]).any())
        if not self._has_copies:
            return 0
        seen: set[int] = set()
        grams, at, characters = hashes.tolist(), 0, 0
        while at < len(grams):
            if grams[at] in seen:
                characters += self.characters(at, n)
                at += n
            else:
                seen.add(grams[at])
                at += 1
        return characters

    def every_copy(self, n: int) -> int:
        """Characters of sequences of n words that occur more than once, each place counted."""
        hashes = self._of(n)
        _, place, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        where = np.flatnonzero(counts[place] > 1)
        return int((self._ends[where + n] - self._ends[where]).sum())
