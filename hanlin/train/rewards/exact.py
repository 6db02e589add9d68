"""1 for the right words, 0 for others: an answer and facts in, whether they agree out."""

import unicodedata
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from hanlin.train import rewards


class Reward(rewards.Reward):
    """Settings of `use = "exact"`."""

    NEEDS: ClassVar = ("answer",)
    use: Literal["exact"] = "exact"
    """The file of this reward."""
    where: Literal["whole", "last_line", "anywhere"] = "whole"
    """What has to agree: the whole answer, its last line that is not empty, or any part of it."""
    is_case_sensitive: bool = False
    """Large and small letters differ; width (Ａ and A) and spaces never do."""

    def score(self, answer: str, facts: Mapping[str, Any]) -> float:
        """1 or 0."""
        wanted = self._plain(str(facts["answer"]))
        lines = [line for line in answer.splitlines() if line.strip()]
        text = self._plain(lines[-1] if self.where == "last_line" and lines else answer)
        return float(wanted in text if self.where == "anywhere" else wanted == text)

    def _plain(self, text: str) -> str:
        text = " ".join(unicodedata.normalize("NFKC", text).split())
        return text if self.is_case_sensitive else text.casefold()


EXAMPLES = (
    ({}, "  paris ", {"answer": "Paris"}, 1.0),
    ({}, "Paris, I think", {"answer": "Paris"}, 0.0),
    ({"where": "anywhere"}, "我想是北京。", {"answer": "北京"}, 1.0),
    ({"where": "last_line"}, "Let me think.\nＰａｒｉｓ\n", {"answer": "Paris"}, 1.0),
    ({"is_case_sensitive": True}, "paris", {"answer": "Paris"}, 0.0),
    ({}, "", {"answer": "Paris"}, 0.0),
)
"""Settings, an answer, facts, the score."""
