"""1 for an answer of the wanted length, less the further it is off: short answers, or long ones, or just right."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from hanlin.train import rewards


class Reward(rewards.Reward):
    """Settings of `use = "length"`."""

    use: Literal["length"] = "length"
    """The file of this reward."""
    least: int = Field(default=1, ge=0)
    """Characters from which on an answer is long enough; below, the score falls in proportion."""
    most: int = Field(default=1000, ge=1)
    """Characters up to which it is short enough; beyond, the score falls and is 0 at twice as many."""

    @model_validator(mode="after")
    def _is_range(self) -> "Reward":
        if self.least > self.most:
            raise ValueError(f"no length is at least {self.least} and at most {self.most}")
        return self

    def score(self, answer: str, facts: Mapping[str, Any]) -> float:
        """0 to 1."""
        length = len(answer.strip())
        if length < self.least:
            return length / self.least
        return max(0.0, 1 - max(0, length - self.most) / self.most)


EXAMPLES = (
    ({"least": 4, "most": 8}, "five!", {}, 1.0),
    ({"least": 4, "most": 8}, "ab", {}, 0.5),
    ({"least": 4, "most": 8}, "twelve chars", {}, 0.5),
    ({"least": 4, "most": 8}, "much longer than that", {}, 0.0),
    ({"least": 4, "most": 8}, "一二三四五", {}, 1.0),
    ({}, "  ", {}, 0.0),
)
"""Settings, an answer, facts, the score."""
