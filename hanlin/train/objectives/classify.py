"""Name the class of a text, or its classes: a linear head on what a decoder makes of the last token.

As Transformers' `…ForSequenceClassification`. Classes are in the order of their names.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from hanlin.core.errors import ConfigError, DataError, HanlinError, did_you_mean, shown
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Example, Labelled
from hanlin.text.tokenizer import Tokenizer
from hanlin.train import objective
from hanlin.train.last import framed_to, judged
from hanlin.train.objective import Pupil, Tally


class Objective(objective.Objective):
    """Settings of `objective.use = "classify"`."""

    TAKES: ClassVar = (Labelled,)
    SHIFTS: ClassVar = False
    use: Literal["classify"] = "classify"
    """The file of this objective."""
    classes: tuple[str, ...] = ()
    """Names of the classes; empty: those of the training data."""
    has_many: bool = False
    """A text may have several classes or none; true by itself where a label of the data is a list."""
    weights: Literal["", "balanced"] | dict[str, float] = ""
    """What a mistake counts, by class: {spam = 5.0}; balanced: the rarer a class the more; empty: all alike. With
    several classes to a text it is what a missed class counts beside one that is named wrongly."""
    keep: Literal["start", "end"] = "end"
    """Which part of a text is read that is longer than the context."""
    between: str = "\n"
    """What stands between the two texts of a pair."""

    def fitted(self, examples: Iterable[Example]) -> "Objective":
        """With the classes of the training data, and balanced weights in numbers: on average a text counts 1.

        Raises:
            DataError: there are fewer than two classes.
            ConfigError: a weight is for a class that does not occur.
        """
        rows = [labels(example) for example in examples if isinstance(example, Labelled)]
        counts = Counter(name for names, _ in rows for name in names)
        has_many = self.has_many or any(is_list for _, is_list in rows)
        classes = self.classes or tuple(sorted(counts))
        if len(classes) < (1 if has_many else 2):
            what = f"there is only the class {classes[0]}" if classes else "no text has a class"
            raise DataError(f"{what}: nothing to tell apart", "give texts of at least two classes")
        weights = self.weights
        if weights == "balanced" and has_many:
            weights = {name: (len(rows) - counts[name]) / max(counts[name], 1) for name in classes}
        elif weights == "balanced":
            weights = {name: len(rows) / (len(classes) * max(counts[name], 1)) for name in classes}
        for name in weights or ():
            if name not in classes:
                raise ConfigError(f"objective.weights.{name} is for no class", did_you_mean(name, classes))
        return self.model_copy(update={"classes": classes, "has_many": has_many, "weights": weights})

    def outputs(self, classes: Sequence[str]) -> int:
        """One figure per class."""
        return len(self.classes or classes)

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """Each text (or pair) cut to the context, the end mark always kept; the number of its class, or 0s and 1s."""
        return framed_to(
            tokenizer,
            [example for example in examples if isinstance(example, Labelled)],
            self._numbers,
            context=context,
            keep=self.keep,
            between=self.between,
        )

    def _numbers(self, example: Labelled) -> tuple[float, ...]:
        """The labels of an example as a batch holds them."""
        names, _ = labels(example)
        for name in names:
            if name not in self.classes:
                raise DataError(f"{shown(name)} is none of the classes", did_you_mean(name, self.classes))
        if self.has_many:
            return tuple(float(name in names) for name in self.classes)
        if len(names) != 1:
            raise DataError("the text has no class", "give it one, or leave the row out")
        return (float(self.classes.index(names[0])),)

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """Mean cross-entropy of the rows; with several classes to a text, of yes and no for each class."""
        logits, truth = judged(pupil, batch)
        each = [self.weights.get(name, 1.0) for name in self.classes] if isinstance(self.weights, dict) else None
        weights = None if each is None else logits.new_tensor(each)
        if self.has_many:
            losses = F.binary_cross_entropy_with_logits(logits, truth, pos_weight=weights, reduction="none").mean(1)
            said = logits.detach() > 0
            true = truth > 0.5
        else:
            number = truth[:, 0].long()
            losses = F.cross_entropy(logits, number, reduction="none")
            losses = losses if weights is None else losses * weights[number]
            said = F.one_hot(logits.detach().argmax(1), len(self.classes)) > 0
            true = F.one_hot(number, len(self.classes)) > 0
        return Tally(losses.sum(), float(len(losses)), self._figures(said, true))

    def _figures(self, said: Tensor, true: Tensor) -> dict[str, float]:
        """Rows that are right in all classes; per class what F1 is made of."""
        figures = {"accuracy": float((said == true).all(1).sum())}
        counts = {"right": said & true, "said": said, "true": true}
        for kind, values in counts.items():
            found = zip(self.classes, values.sum(0).tolist(), strict=True)
            figures |= {f"{kind}: {name}": float(count) for name, count in found}
        return figures

    def concluded(self, figures: Mapping[str, float]) -> Mapping[str, float]:
        """Accuracy, and macro-F1: the mean of 2 right / (said + true) over the classes that are true or said."""
        kinds = ("right", "said", "true")
        parts = [[figures.get(f"{kind}: {name}", 0.0) for kind in kinds] for name in self.classes]
        scores = [2 * right / (said + true) for right, said, true in parts if said + true > 0]
        rest = {name: value for name, value in figures.items() if name.partition(": ")[0] not in kinds}
        return {**rest, "macro_f1": sum(scores) / len(scores)} if scores else rest


def labels(example: Labelled) -> tuple[tuple[str, ...], bool]:
    """The names of an example's classes, and whether they come as a list. Whole numbers are names without a point."""
    label = example.label
    if isinstance(label, tuple):
        return tuple(label), True
    if isinstance(label, float) and label.is_integer():
        return (str(int(label)),), False
    return (str(label),), False


EXAMPLES = (
    Labelled("What a lovely day!", "good"),
    Labelled("I want my money back.", "bad"),
    Labelled("这本书很好看。", "good"),
    Labelled("房间又脏又吵。", "bad", pair="怎么样？"),
)
"""What it learns from; the contract of objectives trains on these."""
