"""Are all classes there, in training and in validation, and are numbers numbers?"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from hanlin.train.gate.grading import sample
from hanlin.train.gate.inputs import Inputs, where
from hanlin.train.gate.report import Refusal
from hanlin.train.gate.survey import Case, Survey

FEW = 10
"""Examples of a class below which it is said aloud."""


def counted(inputs: Inputs, found: Survey) -> Counter[int]:
    """How many examples each class has; a multi-label example counts for each of its classes."""
    if len(inputs.classes) < 1:
        return Counter()
    if any(len(label) > 1 for label in found.labels):
        return Counter(number for label in found.labels for number, value in enumerate(label) if value)
    return Counter(int(label[0]) for label in found.labels if np.isfinite(label[0]))


def labels(case: Case) -> Iterator[Refusal | str]:
    """A class without examples can be neither learnt nor judged."""
    inputs, train, validation = case.inputs, case.train, case.validation
    is_labelled = bool(train.labels) or bool(inputs.classes)
    if not is_labelled or not train.read:
        return
    for found, parts, side in ((train, inputs.train, "train"), (validation, inputs.validation, "validation")):
        yield from _unusable(inputs, found, parts is inputs.validation, side)
    if inputs.classes:
        yield from _classes(case)
    elif len(values := set(train.labels)) == 1:
        what = f"all {len(train.labels):,} labels of data.train are {_told(next(iter(values)))}"
        yield Refusal("labels", what, "give examples of at least two classes, or numbers that differ")


def _unusable(inputs: Inputs, found: Survey, is_validation: bool, side: str) -> Iterator[Refusal]:
    parts = inputs.validation if is_validation else inputs.train
    if found.labels and found.unlabelled:
        what = f"{found.unlabelled:,} of {found.read:,} examples of data.{side} have no label"
        yield Refusal("labels", what, "label them, or leave them out")
    wrong = [number for number, label in enumerate(found.labels) if not np.isfinite(label).all()]
    if wrong:
        place = found.label_places[wrong[0]]
        what = f"{len(wrong):,} labels of data.{side} are no numbers, such as {_told(found.labels[wrong[0]])}"
        what += f" in {where(parts, *place)}"
        fix = "mend or remove these rows"
        yield Refusal("labels", what, fix, sample(inputs, place, is_validation=is_validation), is_final=True)


def _classes(case: Case) -> Iterator[Refusal | str]:
    inputs, train, validation = case.inputs, case.train, case.validation
    classes, held = counted(inputs, train), counted(inputs, validation)
    if len(inputs.classes) == 1 and not any(len(label) > 1 for label in train.labels):
        what = f"there is only one class, {inputs.classes[0]!r}: whatever the model says is right"
        yield Refusal("labels", what, "give examples of at least two classes")
        return
    for side, have in (("train", classes), ("validation", held)):
        missing = [name for number, name in enumerate(inputs.classes) if not have[number]]
        if missing and (side == "train" or validation.read):
            what = f"data.{side} has no example of {_list(missing)} among {_list(inputs.classes)}"
            fix = "give examples of it, or a larger data.held_out" if side == "validation" else "give examples of it"
            yield Refusal("labels", what, fix)
    few = [name for number, name in enumerate(inputs.classes) if 0 < classes[number] < FEW]
    if few:
        yield f"fewer than {FEW} training examples of {_list(few)}"


def _told(label: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in label)


def _list(names: Sequence[str], most: int = 8) -> str:
    told = ", ".join(repr(name) for name in names[:most])
    return told if len(names) <= most else f"{told} and {len(names) - most} more"
