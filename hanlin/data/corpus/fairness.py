"""Whom do the filters silence, and what does the corpus say of whom? A corpus run in, rates with intervals out.

removal       share of documents that the filters dropped, by language, script, dialect, group named and topic, with
              Wilson's 95 % interval; a group stands out where its interval and that of all others do not meet
swaps         words for one group exchanged for words of another, and the steps asked again: verdicts that change
associations  how much nearer a word such as "crime" stands to one group than to another: the log odds ratio of being
              within 60 characters of it, 20 of Chinese, with its 95 % interval (Woolf, Haldane's half in each cell)

Copies, refused and empty documents are left out: filters did not drop them. Many groups are looked at, so one in twenty
would stand out by chance alone if its interval were held against one number; here two intervals must not meet.
"""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from hanlin.core.errors import ConfigError
from hanlin.data.chinese import script
from hanlin.data.corpus.decide import Decision
from hanlin.data.corpus.store import Store
from hanlin.data.step import Step
from hanlin.data.view import View

DOCUMENTS = 2000
CHARACTERS = 20_000
REACH, REACH_ZH = 60, 20
LEAST = 5
"""Documents of a group below which nothing is said of it."""


@dataclass(frozen=True)
class Removal:
    """How many of some documents the filters dropped."""

    by: str
    """language, script, dialect, group or topic."""
    name: str
    documents: int
    dropped: int
    low: float
    high: float
    stands_out: bool
    """Its interval and that of all other documents do not meet."""

    @property
    def rate(self) -> float:
        """Share dropped."""
        return self.dropped / self.documents


@dataclass(frozen=True)
class Swap:
    """Verdicts on documents with words for one group, and on the same with words for another."""

    name: str
    documents: int
    goes: int
    """Stayed, and would go."""
    comes: int
    """Went, and would stay."""
    high: float
    """Upper end of the interval of the share that changes."""
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Association:
    """How much nearer an attribute stands to one group than to another."""

    name: str
    """ "gender: women and men"."""
    attribute: str
    first: int
    second: int
    """Mentions of each group with the attribute near."""
    mentions: tuple[int, int]
    log_odds: float
    low: float
    high: float


@dataclass(frozen=True)
class Fairness:
    """What was found in the documents that were looked at."""

    documents: int
    removal: tuple[Removal, ...]
    swaps: tuple[Swap, ...]
    associations: tuple[Association, ...]


class Terms:
    """Sets of words, as patterns."""

    def __init__(self, file: Path | None = None) -> None:
        """Read a file of the form of fairness.toml, the house's own without one.

        Raises:
            ConfigError: it cannot be read, or lacks a part.
        """
        try:
            text = (file or files("hanlin.data.corpus").joinpath("fairness.toml")).read_text("utf-8")
            self.plain: dict[str, Any] = tomllib.loads(text)
            self.sets = {
                kind: {name: _pattern(words["en"], words["zh"]) for name, words in self.plain[kind].items()}
                for kind in ("group", "dialect", "topic", "attribute")
            }
            for first, second in self.plain["compare"].values():
                _ = self.sets["group"][first], self.sets["group"][second]
            _ = self.swaps
        except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
            what = f"{file or 'fairness.toml'} has no sets of words: {type(error).__name__}: {error}"
            raise ConfigError(what, "see hanlin/data/corpus/fairness.toml for its form") from None

    @cached_property
    def swaps(self) -> dict[str, tuple[re.Pattern[str], dict[str, str]]]:
        """Name → pattern of all its words, and what each turns into."""
        found = {}
        for name, pairs in self.plain["swap"].items():
            turned = {a: b for one, two in (*pairs["en"], *pairs["zh"]) for a, b in ((one, two), (two, one))}
            words = [[word for pair in pairs[language] for word in pair] for language in ("en", "zh")]
            found[name] = _pattern(*words), turned
        return found


def _pattern(english: Sequence[str], chinese: Sequence[str]) -> re.Pattern[str]:
    """Words of English whole, of Chinese anywhere; the longest first."""
    parts = [rf"\b{re.escape(word)}\b" for word in sorted(english, key=len, reverse=True)]
    parts += [re.escape(word) for word in sorted(chinese, key=len, reverse=True)]
    return re.compile("|".join(parts) or r"(?!)", re.I)


def swapped(text: str, pattern: re.Pattern[str], turned: Mapping[str, str]) -> str:
    """The text with each word in the other group's place, its capitals kept."""

    def other(found: re.Match[str]) -> str:
        new = turned[found[0].lower()]
        if len(found[0]) > 1 and found[0].isupper():
            return new.upper()
        return new.capitalize() if found[0][0].isupper() else new

    return pattern.sub(other, text)


def verdict(text: str, language: str, steps: Sequence[Step]) -> str:
    """The bound for which a text goes, or "": through all steps, as a run has them."""
    view = View(text, language)
    for step in steps:
        tags, changed = step.tag(view)
        chinese = np.array([view.is_chinese])
        for rule in step.rules():
            value = np.array([tags.get(rule.tag, "" if rule.among else math.nan)])
            if rule.fails(value, chinese)[0]:
                return f"{step.name}.{rule.name}"
        language = str(tags.get("language", language))
        view = View(view.text if changed is None else changed, language)
    return ""


def audit(store: Store, decision: Decision, steps: Sequence[Step], terms: Terms, most: int = DOCUMENTS) -> Fairness:
    """Look at so many documents, evenly spread; of each, the first 20,000 characters.

    Raises:
        StoreError: a part is damaged.
    """
    by_filter = np.array([name.partition(".")[0] in {step.name for step in steps} for name in decision.names])
    candidates = np.flatnonzero(decision.is_kept | by_filter[decision.reasons])
    chosen = candidates[np.linspace(0, len(candidates) - 1, min(most, len(candidates)), dtype=int)]
    rows = store.rows(chosen.tolist(), ["text", "language", "is_chinese", "path"]) if len(chosen) else []
    texts = [(row["text"] or "")[:CHARACTERS] for row in rows]
    dropped = ~decision.is_kept[chosen]
    members: dict[tuple[str, str], np.ndarray] = {}
    for name in sorted({row["language"] or "unknown" for row in rows}):
        members["language", name] = np.array([(row["language"] or "unknown") == name for row in rows])
    scripts = [script(text) if row["is_chinese"] else "" for row, text in zip(rows, texts, strict=True)]
    for name in sorted(set(scripts) - {""}):
        members["script", name] = np.array([one == name for one in scripts])
    for kind in ("dialect", "group", "topic"):
        for name, pattern in terms.sets[kind].items():
            members[kind, name] = np.array([bool(pattern.search(text)) for text in texts], bool)
    removal = [_removal(by, name, who, dropped) for (by, name), who in members.items() if who.sum() >= LEAST]
    languages = [row["language"] or "" for row in rows]
    swaps = [_swap(name, texts, languages, steps, *terms.swaps[name]) for name in terms.swaps]
    kept = [text for text, goes in zip(texts, dropped.tolist(), strict=True) if not goes]
    return Fairness(
        len(rows), tuple(removal), tuple(swap for swap in swaps if swap.documents), tuple(_associations(kept, terms))
    )


def interval(count: int, total: int) -> tuple[float, float]:
    """Wilson's, 95 %."""
    if not total:
        return 0.0, 1.0
    found = binomtest(count, total).proportion_ci(0.95, "wilson")
    return float(found.low), float(found.high)


def _removal(by: str, name: str, who: np.ndarray, dropped: np.ndarray) -> Removal:
    count, total = int(dropped[who].sum()), int(who.sum())
    low, high = interval(count, total)
    others = interval(int(dropped[~who].sum()), int((~who).sum()))
    return Removal(by, name, total, count, low, high, bool((~who).any()) and (low > others[1] or high < others[0]))


def _swap(
    name: str,
    texts: Sequence[str],
    languages: Sequence[str],
    steps: Sequence[Step],
    pattern: re.Pattern[str],
    turned: Mapping[str, str],
) -> Swap:
    goes = comes = total = 0
    examples: list[str] = []
    for text, language in zip(texts, languages, strict=True):
        other = swapped(text, pattern, turned)
        if other == text:
            continue
        total += 1
        was, now = verdict(text, language, steps), verdict(other, language, steps)
        if bool(was) != bool(now):
            goes, comes = goes + bool(now), comes + bool(was)
            examples.append(f"{was or now}: {' '.join(text.split())[:120]}")
    return Swap(name, total, goes, comes, interval(goes + comes, total)[1], tuple(examples[:3]))


def _associations(texts: Sequence[str], terms: Terms) -> list[Association]:
    """Of every pair of groups that is compared and every attribute, if both groups are mentioned."""
    names = {name for pair in terms.plain["compare"].values() for name in pair}
    near = {name: dict.fromkeys(terms.sets["attribute"], 0) for name in names}
    mentions = dict.fromkeys(names, 0)
    for text in texts:
        for name in names:
            for found in terms.sets["group"][name].finditer(text):
                mentions[name] += 1
                width = REACH if text[found.start()].isascii() else REACH_ZH
                around = text[max(0, found.start() - width) : found.end() + width]
                for attribute, pattern in terms.sets["attribute"].items():
                    near[name][attribute] += bool(pattern.search(around))
    return [
        _association(f"{axis}: {first}, {second}", attribute, near, mentions, first, second)
        for axis, (first, second) in terms.plain["compare"].items()
        if min(mentions[first], mentions[second]) >= LEAST
        for attribute in terms.sets["attribute"]
    ]


def _association(
    name: str,
    attribute: str,
    near: Mapping[str, Mapping[str, int]],
    mentions: Mapping[str, int],
    first: str,
    second: str,
) -> Association:
    a, b = near[first][attribute], near[second][attribute]
    cells = [count + 0.5 for count in (a, mentions[first] - a, b, mentions[second] - b)]
    odds = math.log(cells[0] / cells[1]) - math.log(cells[2] / cells[3])
    spread = 1.959964 * math.sqrt(sum(1 / cell for cell in cells))
    return Association(name, attribute, a, b, (mentions[first], mentions[second]), odds, odds - spread, odds + spread)
