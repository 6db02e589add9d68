"""Which language: of the document, and of each paragraph, with how sure that is. Documents in, bounds on it out.

The tag `language` is what later steps, the mixture and the report go by. Confidence falls for short and mixed texts and
for source code; datatrove asks for 0.65 and Dolma for 0.5.
"""

from collections import Counter

from hanlin.data import chinese, languages, step
from hanlin.data.chinese import script
from hanlin.data.languages import language
from hanlin.data.step import Rule, Tags, bounds
from hanlin.data.view import PARAGRAPHS, View


class Step(step.Step):
    """Language, its confidence, its share of the paragraphs, and the script of Chinese."""

    only: tuple[str, ...] = ()
    """Languages that may stay, such as ["zh", "en"]; empty: all."""
    min_confidence: float | None = 0.3
    """Least confidence in the document's language, 0 to 1."""
    min_share: float | None = None
    """Least share of characters in paragraphs of the document's language."""
    paragraphs: bool = True
    """Look at each paragraph too."""
    drop_paragraphs: bool = False
    """Take out paragraphs that are in none of the languages of `only`, if that is sure."""
    least_characters: int = 40
    """Shorter paragraphs count for the language of the document; a Chinese character counts for three."""
    sure: float = 0.65
    """From which confidence on a paragraph is of another language."""

    def basis(self) -> list[str]:
        """What tells languages and scripts."""
        return [chinese.__file__, languages.__file__]

    def tag(self, view: View) -> tuple[Tags, str | None]:
        """Label, confidence, shares, and the text without paragraphs of other languages."""
        label, confidence = language(view.text)
        tags: dict[str, float | int | str] = {"language": label, "confidence": confidence}
        if label == "zh":
            tags["script"] = script(view.text)
        if not self.paragraphs and not self.drop_paragraphs:
            return tags, None
        pieces = PARAGRAPHS.split(view.text)
        labels = [self._of(piece, label) for piece in pieces]
        sizes: Counter[str] = Counter()
        for name, piece in zip(labels, pieces, strict=True):
            sizes[name] += len(piece)
        total = max(1, sizes.total())
        tags |= {"share": sizes[label] / total if view.text else 1.0, "languages": len(sizes)}
        tags["mix"] = " ".join(f"{name}:{size / total:.2f}" for name, size in sizes.most_common(5))
        if not self.drop_paragraphs or not self.only:
            return tags, None
        kept = [piece for name, piece in zip(labels, pieces, strict=True) if name in self.only]
        tags["dropped"] = len(pieces) - len(kept)
        return tags, "\n\n".join(kept) if len(kept) < len(pieces) else None

    def _of(self, piece: str, whole: str) -> str:
        """The language of a paragraph, that of the document where it is short or unsure."""
        if len(piece.encode()) < self.least_characters:
            return whole
        label, confidence = language(piece)
        return label if confidence >= self.sure else whole

    def rules(self) -> list[Rule]:
        """Its bounds, the languages first."""
        among = [Rule("only", "language", among=frozenset(self.only))] if self.only else []
        return [*among, *bounds(self)]
