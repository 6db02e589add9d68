"""1 for an answer of the wanted form, 0 for others: a regular expression says which."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from hanlin.train import rewards


class Reward(rewards.Reward):
    """Settings of `use = "format"`."""

    use: Literal["format"] = "format"
    """The file of this reward."""
    pattern: str = Field(default=r"\S.*", min_length=1)
    """Python's regular expression; "." also stands for a line's end."""
    is_whole: bool = True
    """The whole answer has to match; else some part of it. Spaces around it do not count."""

    @field_validator("pattern")
    @classmethod
    def _is_one(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern

    def score(self, answer: str, facts: Mapping[str, Any]) -> float:
        """1 or 0."""
        pattern = re.compile(self.pattern, re.DOTALL)
        found = pattern.fullmatch(answer.strip()) if self.is_whole else pattern.search(answer)
        return float(found is not None)


EXAMPLES = (
    ({"pattern": r"<think>.*</think>\s*\d+"}, "<think>two\nand two</think> 4", {}, 1.0),
    ({"pattern": r"<think>.*</think>\s*\d+"}, "4", {}, 0.0),
    ({"pattern": r"答案：\d+", "is_whole": False}, "想一想……答案：12。", {}, 1.0),
    ({}, "", {}, 0.0),
)
"""Settings, an answer, facts, the score."""
