"""Exam items in training texts: documents in, bounds on the items that stand in them out.

The index is made by `hanlin data contamination build FOLDER`, from every task known to the house. What is found is
kept: each item can be asked for the documents it stands in (`hanlin data contamination show`).
"""

from pathlib import Path

from pydantic import Field, field_validator

from hanlin.core.home import expanded
from hanlin.data import contamination
from hanlin.data.step import Filter, Tags
from hanlin.data.view import View

MOST_NAMED = 200


class Step(Filter):
    """Items, the surest one's share, and the share of the document."""

    index: str = Field(min_length=1)
    """The folder of the index."""
    max_items: int | None = 0
    """Most items of which a sequence of 13 words stands in the document."""
    max_item: float | None = None
    """Largest share of one item's sequences; in place of max_items where quotations may stay."""
    max_share: float | None = None
    """Largest share of the document's own sequences."""

    @field_validator("index")
    @classmethod
    def _is_there(cls, index: str) -> str:
        if not (Path(expanded(index)) / "grams.npz").is_file():
            raise ValueError(f"{index} is no index of exams; make it: hanlin data contamination build {index}")
        return index

    def basis(self) -> list[str]:
        """The index, and what reads it."""
        return [contamination.__file__, str(Path(expanded(self.index)) / "grams.npz")]

    def measure(self, view: View) -> Tags:
        """What stands in the text; `where` names the items."""
        hits, share = contamination.opened(str(expanded(self.index))).hits(view.text)
        tags: dict[str, float | int | str] = {
            "items": len(hits),
            "item": hits[0].share if hits else 0.0,
            "share": share,
        }
        if len(hits) > MOST_NAMED:
            tags["unnamed"] = len(hits) - MOST_NAMED
        return {**tags, "where": " ".join(hit.name for hit in hits[:MOST_NAMED])}
