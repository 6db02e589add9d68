"""What the gate found: facts to show before training, notices, and refusals with their fix."""

from collections.abc import Sequence
from dataclasses import dataclass

from hanlin.core.errors import RefusedError
from hanlin.train.look import Piece


@dataclass(frozen=True)
class Refusal:
    """A reason not to begin."""

    name: str
    """What `gate.allow` calls it."""
    what: str
    """One line, with the value and where an example of it stands."""
    fix: str
    """One line."""
    sample: tuple[Piece, ...] = ()
    """The example, to be shown."""
    is_final: bool = False
    """Training is impossible, so `gate.allow` cannot overrule it."""


@dataclass(frozen=True)
class Facts:
    """The data of a run in figures. Shares are of what was read, which is all but for very large data."""

    examples: int
    tokens: int
    longest: int
    """Tokens."""
    validation_examples: int
    validation_tokens: int
    graded_share: float | None
    """Of the tokens; None where whole texts are judged."""
    answers: int
    """Stretches of graded tokens, one for each thing the assistant says."""
    cut: int
    """Answers, or texts where there are no answers, that the context cuts."""
    used_share: float | None
    """Of the positions; the others are padding. None if not known."""
    classes: tuple[tuple[str, int, int], ...]
    """Name, examples in training, examples in validation."""


@dataclass(frozen=True)
class Report:
    """All that was found."""

    facts: Facts
    notices: tuple[str, ...]
    """To be said aloud, and no more; a refusal that was overruled is one of them."""
    refusals: tuple[Refusal, ...]

    def lines(self) -> list[str]:
        """The facts in a few lines."""
        facts = self.facts
        train = [
            f"{facts.examples:,} examples",
            f"{facts.tokens:,} tokens",
            f"the longest of {facts.longest:,}",
        ]
        held = f"{facts.validation_examples:,} examples, {facts.validation_tokens:,} tokens"
        graded = [] if facts.graded_share is None else [f"{facts.graded_share:.1%} of the tokens"]
        graded += [f"{facts.answers:,} answers"] if facts.answers else []
        graded += [f"{facts.cut:,} cut by the context"] if facts.cut else []
        lines = [f"train       {', '.join(train)}", f"validation  {held if facts.validation_examples else 'none'}"]
        lines += [f"graded      {', '.join(graded)}"] if graded else []
        lines += [f"rows        {facts.used_share:.1%} of the positions used"] if facts.used_share is not None else []
        return lines + ([f"classes     {_classes(facts.classes)}"] if facts.classes else [])

    def raise_if_refused(self) -> None:
        """Stop a run that must not begin.

        Raises:
            RefusedError: there are refusals; all of them are told, each with its fix.
        """
        if self.refusals:
            *others, last = self.refusals
            told = [f"{one.what}\n  fix: {one.fix}" for one in others]
            raise RefusedError("\n".join([*told, last.what]), last.fix)


def _classes(classes: Sequence[tuple[str, int, int]], most: int = 12) -> str:
    told = ", ".join(f"{name} {train:,} + {held:,}" for name, train, held in classes[:most])
    return told if len(classes) <= most else f"{told}, … ({len(classes)} classes)"
