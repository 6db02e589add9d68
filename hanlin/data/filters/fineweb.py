"""FineWeb's own filters: lines that end like sentences, short lines, lines that come twice, lists.

https://arxiv.org/abs/2406.17557. Its paper has 0.1 for characters in repeated lines, its code 0.01; here it is 0.01
with `compat = "datatrove"` alone. A short line has 30 characters; Chinese says in 8 to 10 what English says in 30.
"""

from typing import Literal

from hanlin.data.filters.repetition import copies
from hanlin.data.marks import terminal
from hanlin.data.step import Filter, Rule, Tags, bounds
from hanlin.data.view import View

CLOSING = "”’\"'」』）)》]】*_"


class Step(Filter):
    """Ends of lines, their length, their copies, and how many there are to a word."""

    compat: Literal["", "datatrove"] = ""
    """Count as this project does."""
    min_lines: int | None = 1
    """Fewest lines that are not blank."""
    min_line_ends: float | None = 0.12
    """Least share of lines that end like a sentence."""
    max_short_lines: float | None = 0.67
    """Largest share of short lines."""
    max_copied: float | None = None
    """Largest share of characters in lines that came before; none: 0.1, or 0.01 with compat."""
    max_lines_to_words: float | None = 0.3
    """Most ends of lines to a word."""
    short_line: int = 30
    """Characters of a short line."""
    short_line_zh: int = 8
    """The same for Chinese."""

    def rules(self) -> list[Rule]:
        """Its bounds, with that on copies filled in."""
        default = 0.01 if self.compat else 0.1
        most = default if self.max_copied is None else self.max_copied
        found = bounds(self.model_copy(update={"max_copied": most}))
        return sorted(found, key=lambda rule: list(type(self).model_fields).index(rule.name))

    def measure(self, view: View) -> Tags:
        """The shares that the bounds are on."""
        lines = view.lines
        if not lines:
            return {"lines": 0}
        is_ours = not self.compat
        marks = tuple(terminal())
        ends = (line.rstrip().rstrip(CLOSING) or line for line in lines) if is_ours else lines
        short = self.short_line_zh if is_ours and view.is_chinese else self.short_line
        return {
            "lines": len(lines),
            "line_ends": sum(line.endswith(marks) for line in ends) / len(lines),
            "short_lines": sum(len(line) <= short for line in lines) / len(lines),
            "copied": copies(lines, False)[1] / len(view.text.replace("\n", "")),
            "lines_to_words": view.text.count("\n") / max(1, len(view.tokens("" if is_ours else "spacy"))),
        }
