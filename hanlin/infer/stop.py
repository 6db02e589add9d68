"""Stop texts: pieces of an answer in, what may be shown out, cut exactly where the first stop text to complete begins.

A stop text can straddle tokens, so the end of the text is held back while it could still become one. The result does
not depend on how the text was cut into pieces.
"""

from collections.abc import Sequence


class StopWatch:
    """Watches one answer. It lives as long as the answer."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.stops = tuple(stops)
        self.held = ""
        self.found: str | None = None
        """The stop text that ended the answer."""

    @property
    def is_stopped(self) -> bool:
        """A stop text has come."""
        return self.found is not None

    def push(self, text: str) -> str:
        """What may be shown now that `text` has come; "" once stopped."""
        if self.is_stopped:
            return ""
        self.held += text
        if not self.stops:
            return self._release(len(self.held))
        found = self._look()
        if found is not None:
            _, cut, self.found = found
            shown, self.held = self.held[:cut], ""
            return shown
        return self._release(len(self.held) - self._undecided())

    def finish(self) -> str:
        """What was held back, when no more text comes."""
        return self._release(len(self.held))

    def _release(self, count: int) -> str:
        shown, self.held = self.held[:count], self.held[count:]
        return shown

    def _look(self) -> tuple[int, int, str] | None:
        """End, beginning and text of the stop text that completes first; of two that complete together, the longer."""
        found = [(at + len(stop), at, stop) for stop in self.stops if (at := self.held.find(stop)) >= 0]
        return min(found) if found else None

    def _undecided(self) -> int:
        """How many last characters are the beginning of some stop text."""
        longest = max(len(stop) for stop in self.stops) - 1
        for count in range(min(longest, len(self.held)), 0, -1):
            if any(stop.startswith(self.held[-count:]) for stop in self.stops):
                return count
        return 0
