"""Labels: a class that is missing, alone or no number at all is refused; what is there is counted."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hanlin.data.batch import Marked
from hanlin.data.encoded import Encoded, in_memory
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.gate.check import inspect
from hanlin.train.gate.inputs import Inputs
from train.gate.cases import run, sentence

Labels = Sequence[tuple[float, ...]]
Judge = Callable[..., list[str]]


def texts(labels: Labels, tokenizer: Tokenizer, first: int) -> Encoded:
    """A text for each label, none like another."""
    marks = [
        Marked(np.array(tokenizer.encode(f"{first + number} {sentence(number)}"), np.int32), labels=label)
        for number, label in enumerate(labels)
    ]
    return in_memory(marks, "reviews.csv")


@pytest.fixture
def judged(tokenizer: Tokenizer) -> Callable[..., Inputs]:
    def made(train: Labels, held: Labels, classes: Sequence[str] = ("bad", "good"), **fields: Any) -> Inputs:
        given = run(**{"use": "classify", **fields})
        parts = [texts(train, tokenizer, 0)], [texts(held, tokenizer, 500)]
        return Inputs(given, *parts, tokenizer, tokenizer.vocab_size, tokenizer, classes)

    return made


def named(inputs: Inputs) -> list[str]:
    """What each refusal says, of the one name that is expected."""
    found = inspect(inputs)
    assert {one.name for one in found.refusals} <= {"labels"}, found.refusals
    return [one.what for one in found.refusals]


BOTH = [(0.0,)] * 12 + [(1.0,)] * 12


def test_both_classes_on_both_sides_pass_and_are_counted(judged: Callable[..., Inputs]) -> None:
    inputs = judged([*BOTH, (1.0,)], BOTH[11:14])
    found = inspect(inputs)
    assert not found.refusals and not found.notices
    assert found.facts.classes == (("bad", 12, 1), ("good", 13, 2)) and found.facts.graded_share is None
    assert "bad 12 + 1, good 13 + 2" in "\n".join(found.lines())


def test_a_class_without_training_examples_is_refused(judged: Callable[..., Inputs]) -> None:
    (what,) = named(judged(BOTH, [*BOTH, (2.0,)], ("bad", "good", "mixed")))
    assert "data.train has no example of 'mixed'" in what


def test_a_class_without_validation_examples_is_refused(judged: Callable[..., Inputs]) -> None:
    (what,) = named(judged(BOTH, BOTH[:5]))
    assert "data.validation has no example of 'good'" in what
    assert not inspect(replace(judged(BOTH, BOTH[:5]), run=run(use="classify", gate__allow='["labels"]'))).refusals


def test_a_single_class_is_refused(judged: Callable[..., Inputs]) -> None:
    assert "only one class, 'good'" in named(judged([(0.0,)] * 12, [(0.0,)] * 3, ("good",)))[0]


def test_a_rare_class_is_told_of(judged: Callable[..., Inputs]) -> None:
    found = inspect(judged([*BOTH[:12], (1.0,), (1.0,)], BOTH[10:14]))
    assert not found.refusals and any("'good'" in it and "fewer than" in it for it in found.notices)


def test_each_of_several_labels_must_occur(judged: Callable[..., Inputs]) -> None:
    many = [(1.0, 0.0, 1.0), (0.0, 1.0, 0.0)] * 10
    assert not named(judged(many, many[:2], ("a", "b", "c")))
    (what,) = named(judged([(1.0, 0.0, 1.0)] * 20, [(1.0, 1.0, 1.0)], ("a", "b", "c")))
    assert "data.train has no example of 'b'" in what


def test_labels_that_are_no_numbers_are_refused_by_file_and_line_and_cannot_be_allowed(
    judged: Callable[..., Inputs],
) -> None:
    numbers = [(float(number),) for number in range(20)]
    inputs = judged([*numbers, (float("nan"),)], numbers[:3], (), use="regress", gate__allow='["labels"]')
    (what,) = named(inputs)
    assert "nan" in what and "reviews.csv, line 21" in what


def test_numbers_that_are_all_the_same_are_refused(judged: Callable[..., Inputs]) -> None:
    assert "all 20 labels of data.train are 3" in named(judged([(3.0,)] * 20, [(3.0,)], (), use="regress"))[0]


def test_examples_without_a_label_among_others_are_refused(judged: Callable[..., Inputs]) -> None:
    assert "2 of 26" in named(judged([*BOTH, (), ()], BOTH))[0]


def test_texts_that_were_cut_are_told_of_and_not_refused(judged: Callable[..., Inputs]) -> None:
    inputs = judged(BOTH, BOTH[10:14])
    marks = [replace(inputs.train[0][number], facts={"cut": 5}) for number in range(len(BOTH))]
    found = inspect(replace(inputs, train=[in_memory(marks, "reviews.csv")]))
    assert not found.refusals and found.facts.cut == 24 and any("cuts 24 of 24 texts" in it for it in found.notices)
