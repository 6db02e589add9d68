"""What a stranger's template may use: one number for work and memory, spent step by step.

A unit is at most four bytes made or some fifty nanoseconds worked, so `BASE` is about half a second and 40 MB. Long
conversations get more, in proportion: published templates use about four units for each character. Whoever asks for
more is refused before the work is done, not after.
"""

from collections.abc import Mapping
from typing import Any

from jinja2.utils import Namespace

from hanlin.core.errors import RefusedError

BASE = 10_000_000
PER_INPUT = 50
"""Units for each character of the conversation."""
ITEM = 16
"""What holding one more value costs, beside its characters."""
FIX = "use the template that this model was published with"


class Meter:
    """The budget of one rendering."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.left = self.used = 1 << 62
        self.weigh(dict(variables))
        self.left = BASE + PER_INPUT * (self.used - self.left)

    def spend(self, units: int) -> None:
        """Take units off the budget.

        Raises:
            RefusedError: there are not that many left.
        """
        self.left -= units
        if self.left < 0:
            raise RefusedError("the chat template asks for more work or memory than any conversation needs", FIX)

    def weigh(self, value: Any) -> None:
        """Spend what it costs to go through a value to its last character, however often it holds the same part."""
        stack = [value]
        while stack:
            item = stack.pop()
            if isinstance(item, Namespace):
                item = object.__getattribute__(item, "_Namespace__attrs")
            if isinstance(item, str):
                self.spend(ITEM + len(item))
            elif isinstance(item, dict):
                self.spend(ITEM + ITEM * len(item))
                stack.extend(item)
                stack.extend(item.values())
            elif isinstance(item, (list, tuple)):
                self.spend(ITEM + ITEM * len(item))
                stack.extend(item)
            else:
                self.spend(ITEM)

    def weight(self, *values: Any) -> int:
        """The same, and how much it was."""
        before = self.left
        for value in values:
            self.weigh(value)
        return before - self.left


def size(value: Any) -> int:
    """How many items or characters a value has, without looking into them; generators and plain values have one."""
    return len(value) if isinstance(value, (str, list, tuple, dict, range)) else 1
