"""What an answer is worth, told by a rule: one file each, named by `use` in `objective.rewards`.

A file defines `Reward`, a frozen settings class with `score`, and `EXAMPLES`, which its contract is tested on.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from hanlin.core.settings import Settings


class Reward(Settings):
    """The parent of each file's `Reward`; its fields are the keys of an entry of `objective.rewards`."""

    NEEDS: ClassVar[tuple[str, ...]] = ()
    """Facts that each question must bring."""
    weight: float = Field(default=1.0, allow_inf_nan=False)
    """What its score is multiplied by before all are added; below 0 it is a fine."""

    def wrong(self, facts: Mapping[str, Any]) -> str | None:
        """Why the facts of a question cannot be judged by; None if they can. Asked before training."""
        missing = [name for name in self.NEEDS if facts.get(name) in (None, "")]
        return f"the question has no '{missing[0]}'" if missing else None

    def score(self, answer: str, facts: Mapping[str, Any]) -> float:
        """What an answer is worth, usually 0 to 1.

        Args:
            answer: its text, marks for the model left out.
            facts: what the question brought.
        """
        raise NotImplementedError
