"""Stop words: their share of a text and, if one insists, the text without them.

Running text in any language is a third to a half stop words; keyword lists have hardly any. Taking them out of training
texts is usually harmful for a language model: it never learns to say "of", and what remains are no sentences. It is
meant for word counts, search and topic models, and asks for `i_know = true`.
https://github.com/stopwords-iso/stopwords-iso
"""

from pydantic import model_validator

from hanlin.data.filters.chinese import stop_words
from hanlin.data.step import Change, Tags
from hanlin.data.view import View


class Step(Change):
    """Share of stop words; removal."""

    min_share: float | None = 0.05
    """Least share of words that are stop words; languages without a list pass."""
    remove: bool = False
    """Write the text without them, words apart by spaces. Usually harmful for language models; see above."""
    i_know: bool = False
    """That removal is usually harmful."""

    @model_validator(mode="after")
    def _knows(self) -> "Step":
        if self.remove and not self.i_know:
            raise ValueError(
                "removal of stop words usually harms language models, since what remains are no sentences; "
                "if the texts are for counts or search, say i_know = true"
            )
        return self

    def change(self, view: View) -> tuple[str, Tags]:
        """The share, and the text."""
        known = stop_words("zh" if view.is_chinese else view.language or "en")
        words = view.wordy
        if not known or not words:
            return view.text, {}
        are_stops = [word in known or word.lower() in known for word in words]
        share: Tags = {"share": sum(are_stops) / len(words)}
        if not self.remove:
            return view.text, share
        return "\n".join(_without(line, view, known) for line in view.text.split("\n")), share


def _without(line: str, view: View, known: frozenset[str]) -> str:
    words = View(line, view.language or ("zh" if view.is_chinese else "")).words
    return " ".join(word for word in words if word.lower() not in known)
