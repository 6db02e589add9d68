"""What the gate found: facts to show before training, notices, and refusals with their fix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hanlin.core.errors import RefusedError
from hanlin.train.look import Piece

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "train": "train       ",
        "validation": "validation  ",
        "graded": "graded      ",
        "rows": "rows        {share:.1%} of the positions used",
        "classes": "classes     ",
        "sizes": "{examples:,} examples, {tokens:,} tokens",
        "longest": ", the longest of {longest:,}",
        "none": "none",
        "share": "{share:.1%} of the tokens",
        "answers": "{count:,} answers",
        "cut": "{count:,} cut by the context",
        "more": ", … ({count} classes)",
        "comma": ", ",
    },
    "zh": {
        "train": "训练  ",
        "validation": "验证  ",
        "graded": "计分  ",
        "rows": "各行  用上了 {share:.1%} 的位置",
        "classes": "类别  ",
        "sizes": "{examples:,} 条，{tokens:,} 个词元",
        "longest": "，最长一条 {longest:,} 个",
        "none": "无",
        "share": "词元的 {share:.1%}",
        "answers": "{count:,} 个回答",
        "cut": "{count:,} 个被上下文截断",
        "more": "……（共 {count} 类）",
        "comma": "，",
    },
}
"""Of the facts, before and between them."""


@dataclass(frozen=True)
class Refusal:
    """A reason not to begin."""

    name: str
    """What `gate.allow` calls it."""
    what: str
    """One line, with the value and where an example of it stands."""
    fix: str
    """One line."""
    sample: tuple[Piece, ...] = ()
    """The example, to be shown."""
    is_final: bool = False
    """Training is impossible, so `gate.allow` cannot overrule it."""


@dataclass(frozen=True)
class Facts:
    """The data of a run in figures. Shares are of what was read, which is all but for very large data."""

    examples: int
    tokens: int
    longest: int
    """Tokens."""
    validation_examples: int
    validation_tokens: int
    graded_share: float | None
    """Of the tokens; None where whole texts are judged."""
    answers: int
    """Stretches of graded tokens, one for each thing the assistant says."""
    cut: int
    """Answers, or texts where there are no answers, that the context cuts."""
    used_share: float | None
    """Of the positions; the others are padding. None if not known."""
    classes: tuple[tuple[str, int, int], ...]
    """Name, examples in training, examples in validation."""


@dataclass(frozen=True)
class Report:
    """All that was found."""

    facts: Facts
    notices: tuple[str, ...]
    """To be said aloud, and no more; a refusal that was overruled is one of them."""
    refusals: tuple[Refusal, ...]

    def lines(self, language: Literal["en", "zh"] = "en") -> list[str]:
        """The facts in a few lines."""
        facts, words = self.facts, WORDS[language]
        sizes = words["sizes"].format(examples=facts.examples, tokens=facts.tokens)
        lines = [words["train"] + sizes + words["longest"].format(longest=facts.longest)]
        held = words["sizes"].format(examples=facts.validation_examples, tokens=facts.validation_tokens)
        lines.append(words["validation"] + (held if facts.validation_examples else words["none"]))
        graded = [] if facts.graded_share is None else [words["share"].format(share=facts.graded_share)]
        graded += [words["answers"].format(count=facts.answers)] if facts.answers else []
        graded += [words["cut"].format(count=facts.cut)] if facts.cut else []
        lines += [words["graded"] + words["comma"].join(graded)] if graded else []
        lines += [words["rows"].format(share=facts.used_share)] if facts.used_share is not None else []
        return lines + ([words["classes"] + _classes(facts.classes, words)] if facts.classes else [])

    def raise_if_refused(self) -> None:
        """Stop a run that must not begin.

        Raises:
            RefusedError: there are refusals; all of them are told, each with its fix.
        """
        if self.refusals:
            *others, last = self.refusals
            told = [f"{one.what}\n  fix: {one.fix}" for one in others]
            raise RefusedError("\n".join([*told, last.what]), last.fix)


def _classes(classes: Sequence[tuple[str, int, int]], words: Mapping[str, str], most: int = 12) -> str:
    told = words["comma"].join(f"{name} {train:,} + {held:,}" for name, train, held in classes[:most])
    return told if len(classes) <= most else told + words["more"].format(count=len(classes))
