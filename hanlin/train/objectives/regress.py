"""Give a text a number: a linear head on what a decoder makes of the last token.

The head learns labels with mean 0 and deviation 1; `mean` and `deviation` bring its figures back.
"""

import math
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field

from hanlin.core.errors import DataError, HanlinError, shown
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Example, Labelled
from hanlin.text.tokenizer import Tokenizer
from hanlin.train import objective
from hanlin.train.last import framed_to, judged
from hanlin.train.objective import Pupil, Tally


class Objective(objective.Objective):
    """Settings of `objective.use = "regress"`."""

    TAKES: ClassVar = (Labelled,)
    SHIFTS: ClassVar = False
    use: Literal["regress"] = "regress"
    """The file of this objective."""
    kind: Literal["squared", "huber"] = "squared"
    """What a mistake costs: its square, or beyond one deviation only its size."""
    mean: float | None = None
    """Mean of the labels; None: of the training data's."""
    deviation: float | None = Field(default=None, gt=0)
    """Standard deviation of the labels; None: of the training data's."""
    keep: Literal["start", "end"] = "end"
    """Which part of a text is read that is longer than the context."""
    between: str = "\n"
    """What stands between the two texts of a pair."""

    def fitted(self, examples: Iterable[Example]) -> "Objective":
        """With mean and deviation of the labels that are numbers; `encode` refuses the others.

        Raises:
            DataError: no label is a number, or all are the same.
        """
        if self.mean is not None and self.deviation is not None:
            return self
        values = [value for row in examples if isinstance(row, Labelled) if (value := number(row)) is not None]
        if not values:
            raise DataError("no label is a number", 'give numbers, or take objective.use = "classify"')
        mean = math.fsum(values) / len(values) if self.mean is None else self.mean
        deviation = self.deviation or math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
        if not deviation > 0:
            raise DataError(f"every label is {values[0]:g}: nothing to learn", "give texts whose numbers differ")
        return self.model_copy(update={"mean": mean, "deviation": deviation})

    def outputs(self, classes: Sequence[str]) -> int:
        """One figure."""
        return 1

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """Each text (or pair) cut to the context, the end mark always kept; its label in deviations from the mean."""
        return framed_to(
            tokenizer,
            [example for example in examples if isinstance(example, Labelled)],
            self._standard,
            context=context,
            keep=self.keep,
            between=self.between,
        )

    def _standard(self, example: Labelled) -> tuple[float, ...]:
        value = number(example)
        if value is None:
            raise DataError(f"the label {shown(example.label)} is no number", "give one, or leave the row out")
        return ((value - (self.mean or 0.0)) / (self.deviation or 1.0),)

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """Mean squared (or Huber's) error in deviations; `mean_error` is in the labels' own unit."""
        figures, truth = judged(pupil, batch)
        if self.kind == "huber":
            losses = F.huber_loss(figures, truth, reduction="none")
        else:
            losses = F.mse_loss(figures, truth, reduction="none")
        off = float((figures.detach() - truth).abs().sum()) * (self.deviation or 1.0)
        return Tally(losses.sum(), float(len(losses)), {"mean_error": off})


def number(example: Labelled) -> float | None:
    """The label as a finite number; None if it is none."""
    try:
        value = float(example.label)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


EXAMPLES = (
    Labelled("Terrible.", 1.0),
    Labelled("It was fine.", 3.0),
    Labelled("非常好！", 4.5),
    Labelled("Wonderful, I loved it.", 5.0, pair="How was it?"),
)
"""What it learns from; the contract of objectives trains on these."""
