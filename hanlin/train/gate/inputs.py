"""What the gate looks at: marked examples, tokenizer, model and settings of a run that is about to begin."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from hanlin.data.batch import Batch
from hanlin.data.encoded import Encoded
from hanlin.data.example import Chat, Completion, Labelled, Preference, Question, Rated
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.settings import RunFile


@dataclass(frozen=True, eq=False)
class Inputs:
    """A run before its first step."""

    run: RunFile
    train: Sequence[Encoded]
    """One for each source."""
    validation: Sequence[Encoded]
    tokenizer: Tokenizer
    """What the examples were encoded with."""
    rows: int
    """Rows of the model's embedding: ids are below it."""
    base: Tokenizer | None = None
    """The tokenizer of the model that training starts from; None for a new model, or one without."""
    classes: Sequence[str] = ()
    """Names of the labels, in the order of their numbers."""
    batches: Sequence[Batch] = field(default_factory=tuple)
    """A few, as the model will get them."""
    used_share: float | None = None
    """Share of the positions that hold tokens and not padding, if known."""

    @cached_property
    def has_head(self) -> bool:
        """The objective judges whole texts through a head of its own."""
        return self.run.objective.outputs(self.classes) > 0

    @cached_property
    def is_graded_by_token(self) -> bool:
        """Marks on tokens say what is graded; not so where a head judges, or the model's own answers (GRPO)."""
        return not self.has_head and not self._takes(Question, Labelled)

    @cached_property
    def has_answers(self) -> bool:
        """What is graded are answers to something, which ought to end and should not be cut."""
        return self.is_graded_by_token and self._takes(Chat, Completion, Preference, Rated)

    @cached_property
    def is_cut(self) -> bool:
        """What is longer than a row is cut off; wrapped rows go on in the next one instead."""
        return self.run.data.packing != "wrapped"

    @cached_property
    def is_labelled(self) -> bool:
        """Whole texts with a class or a number, which may well be told from a part of the text."""
        return self._takes(Labelled)

    @cached_property
    def is_chat(self) -> bool:
        """The chat template writes what the model reads."""
        return self._takes(Chat, Preference, Rated, Question) and self.tokenizer.template is not None

    @cached_property
    def most(self) -> int:
        """Tokens of an example that fit into a row: with shifted targets the last one takes no position."""
        return self.run.data.context + self.run.objective.SHIFTS

    def _takes(self, *kinds: type) -> bool:
        return bool(set(kinds) & set(self.run.objective.TAKES))


def where(parts: Sequence[Encoded], part: int, index: int) -> str:
    """ "FILE, line N" of an example."""
    file, line = parts[part].where(index)
    return f"{file}, line {line}"
