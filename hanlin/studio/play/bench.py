"""What the parts of the playground share: the visitor, the model, and who wants to know of changes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hanlin.studio.visitor import Visitor


@dataclass
class Bench:
    """One visitor's."""

    visitor: Visitor
    model: str
    listeners: list[Callable[[], Any]] = field(default_factory=list)

    def tell(self, _: Any = None) -> None:
        """Something on the screen is another now."""
        for one in self.listeners:
            one()
