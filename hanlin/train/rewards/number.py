"""1 for the right number, 0 for others: the number an answer comes to is read out of its text and compared.

Of several numbers the one that is announced counts (in \\boxed{}, after ####, "answer is", 答案), else the last one.
"""

import re
import unicodedata
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar, Literal

from pydantic import Field

from hanlin.core.errors import shown
from hanlin.train import rewards

DIGITS = 60
"""Longest number that is read: exact arithmetic with longer ones would only cost time."""
NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+(?!,?\d)|\d+)?(?:\.\d+|(?<=\d))(?:e[-+]?\d{1,2}(?!\w))?(?:\s*/\s*\d+|\s*%)?",
    re.ASCII | re.I,  # a Chinese character is no part of a number's word
)
ANNOUNCED = re.compile(
    r"\\boxed\{([^{}]*)\}|####([^\n]*)|(?:answer|result)(?:\s+is|\s*[:=])([^\n]*)|(?:答案|结果)(?:是|为|:|=)([^\n]*)",
    re.I,
)


class Reward(rewards.Reward):
    """Settings of `use = "number"`."""

    NEEDS: ClassVar = ("answer",)
    use: Literal["number"] = "number"
    """The file of this reward."""
    tolerance: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """By how much the number may be off, as a share of the right one; 0: exactly, as 0.5 and 1/2 are."""

    def wrong(self, facts: Mapping[str, Any]) -> str | None:
        """As the parent's; and the answer must have a number."""
        if missing := super().wrong(facts):
            return missing
        if read(str(facts["answer"])) is None:
            return f"the question's answer {shown(facts['answer'])} has no number"
        return None

    def score(self, answer: str, facts: Mapping[str, Any]) -> float:
        """1 or 0."""
        said, right = read(answer), read(str(facts["answer"]))
        if said is None or right is None:
            return 0.0
        return float(abs(said - right) <= abs(right) * Fraction(self.tolerance))


def read(text: str) -> Fraction | None:
    """The number that a text comes to; None if it has none."""
    text = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    for announced in reversed(list(ANNOUNCED.finditer(text))):
        found = _numbers(next(part for part in announced.groups() if part is not None))
        if found:
            return found[0]
    found = _numbers(text)
    return found[-1] if found else None


def _numbers(text: str) -> list[Fraction]:
    found = []
    for match in NUMBER.finditer(text):
        whole, _, below = match[0].replace(",", "").replace(" ", "").partition("/")
        if len(match[0]) > DIGITS or (below and not int(below)):
            continue
        value = Fraction(whole.rstrip("%"))
        found.append(value / int(below) if below else value / 100 if whole.endswith("%") else value)
    return found


EXAMPLES = (
    ({}, "3 + 4 = 7", {"answer": "7"}, 1.0),
    ({}, "It is 8.", {"answer": "7"}, 0.0),
    ({}, "So the answer is 1,234, which is more than 9.", {"answer": 1234}, 1.0),
    ({}, "答案是 四十二，也就是 42", {"answer": "42"}, 1.0),
    ({}, "\\boxed{1/2} of 10", {"answer": "0.5"}, 1.0),
    ({}, "12 − 20 = −8", {"answer": "-8"}, 1.0),
    ({}, "I do not know", {"answer": "7"}, 0.0),
    ({}, "", {"answer": "7"}, 0.0),
    ({"tolerance": 0.01}, "about 3.14", {"answer": "3.14159"}, 1.0),
    ({}, "50%", {"answer": "0.5"}, 1.0),
    ({}, "7/0", {"answer": "7"}, 0.0),
    ({}, "x7y", {"answer": "7"}, 0.0),
    ({}, "所以答案是42。", {"answer": "42"}, 1.0),
    ({}, "一共１２个", {"answer": "12"}, 1.0),
    ({}, "They are 10-3=7", {"answer": "#### 7"}, 1.0),
)
"""Settings, an answer, facts, the score."""
