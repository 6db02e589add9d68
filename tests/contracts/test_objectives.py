"""What every objective keeps: it learns its examples, grades only what has weight, and packs without a difference."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hanlin.core.errors import HanlinError
from hanlin.core.plugins import find, names
from hanlin.core.settings import parse
from hanlin.data.batch import Batch, Marked, collate
from hanlin.data.example import Chat, Completion, Labelled, Preference, Question, Rated, Text
from hanlin.text.message import Message
from hanlin.train.objective import Objective, Pupil
from train.objectives.pupils import network, sound, tokenizer, two_way

FOLDER = "hanlin.train.objectives"
CONTEXT = 96
each = pytest.mark.parametrize("name", names(FOLDER))


def objective(name: str) -> Objective:
    """As a run file without further keys gives it, fitted to its own examples."""
    module = find(FOLDER, name)
    return parse(module.Objective, {}).fitted(module.EXAMPLES)


def pupil(name: str) -> Pupil:
    own = objective(name)
    model = (two_way() if "two_way" in own.NEEDS else network()).float()
    head = nn.Linear(model.config.width, own.outputs(()), bias=False) if own.outputs(()) else None
    reference = copy.deepcopy(model).requires_grad_(False) if "reference" in own.NEEDS else None
    teacher = network(layers=1).float().requires_grad_(False) if "teacher" in own.NEEDS else None
    return Pupil(model, tokenizer(), head, reference, teacher)


def batch(name: str, learner: Pupil) -> Batch:
    """Each example in a row of its own, as it is trained on."""
    own, tokens = objective(name), tokenizer()
    found = sound(own.encode(find(FOLDER, name).EXAMPLES, tokens, CONTEXT))
    made = collate([[entry] for entry in found], shifts=own.SHIFTS, pad=0)
    made = own.corrupted(made, tokens, np.random.default_rng(0))
    return own.gathered(learner, made, np.random.default_rng(1))


def loss(name: str, learner: Pupil, given: Batch) -> torch.Tensor:
    tally = objective(name).loss(learner, given)
    assert tally.count > 0
    return tally.total / tally.count


def gradient(learner: Pupil, value: torch.Tensor) -> torch.Tensor:
    """Of all parts that learn, as one vector."""
    parts = [*learner.network.parameters(), *(learner.head.parameters() if learner.head else ())]
    found = torch.autograd.grad(value, parts, allow_unused=True)
    return torch.cat(
        [(torch.zeros_like(part) if one is None else one).flatten() for part, one in zip(parts, found, strict=True)]
    )


@each
def test_it_marks_its_own_examples(name: str) -> None:
    own, tokens, examples = objective(name), tokenizer(), find(FOLDER, name).EXAMPLES
    found = sound(own.encode(examples, tokens, CONTEXT))
    assert len(found) == len(examples)
    assert {type(example) for example in examples} == set(own.TAKES)
    for entry in found:
        assert entry.ids.dtype == np.int32
        assert entry.ids.min() >= 0
        assert entry.ids.max() < tokens.vocab_size
        assert entry.graded is None or entry.graded.shape == entry.ids.shape
    assert own.encode([], tokens, CONTEXT) == []


@each
def test_loss_and_gradients_are_numbers(name: str) -> None:
    learner = pupil(name)
    value = loss(name, learner, batch(name, learner))
    assert value.isfinite()
    assert gradient(learner, value).isfinite().all()


@each
def test_the_loss_falls_on_a_tiny_batch(name: str) -> None:
    learner = pupil(name)
    given = batch(name, learner)
    parts = [*learner.network.parameters(), *(learner.head.parameters() if learner.head else ())]
    optimiser = torch.optim.AdamW(parts, lr=2e-3, weight_decay=0)
    begun = loss(name, learner, given)
    if not gradient(learner, begun).any():
        assert name == "grpo", "nothing to learn in its own examples"
        pytest.skip("by chance all answers of the untrained model are worth the same")
    for _ in range(6):
        optimiser.zero_grad()
        loss(name, learner, given).backward()
        optimiser.step()
    assert loss(name, learner, given) < begun


@each
def test_targets_without_weight_change_nothing(name: str) -> None:
    learner = pupil(name)
    given = batch(name, learner)
    other = torch.randint(0, 256, given.targets.shape, generator=torch.Generator().manual_seed(5))
    changed = replace(given, targets=torch.where(given.weights == 0, other, given.targets))
    assert loss(name, learner, changed) == loss(name, learner, given)


def packed(given: Batch) -> Batch:
    """All rows of a batch one after the other in a single row, padding left out."""
    keep = torch.zeros_like(given.weights, dtype=torch.bool)
    for at, weights in enumerate(given.weights):
        keep[at, : int(weights.nonzero().max()) + 1] = True
    if given.documents is not None:
        keep = given.documents == 0
    numbers = torch.arange(given.rows)[:, None].expand_as(keep)
    tokens, targets, weights, documents = (
        value[keep][None] for value in (given.tokens, given.targets, given.weights, numbers)
    )
    return Batch(tokens, targets, weights, documents)


@each
def test_packed_equals_one_text_to_a_row(name: str) -> None:
    if not objective(name).IS_PACKED:
        pytest.skip("it has a row for each example")
    learner = pupil(name)
    learner.network.double()
    if learner.teacher is not None:
        learner.teacher.double()
    given = batch(name, learner)
    apart, together = loss(name, learner, given), loss(name, learner, packed(given))
    torch.testing.assert_close(together, apart, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(gradient(learner, together), gradient(learner, apart), atol=1e-6, rtol=1e-5)


def spoilt(example: Any) -> Any:
    """The same with half a character in it, which no tokenizer takes."""
    half = "half \ud800"
    turn = (Message(role="user", content=half),)
    match example:
        case Text() | Labelled():
            return replace(example, text=half)
        case Completion():
            return replace(example, prompt=half)
        case Preference() | Question():
            return replace(example, prompt=turn)
        case Chat() | Rated():
            return replace(example, messages=(*turn, *example.messages[1:]))
    raise AssertionError(example)


@each
def test_a_bad_example_is_an_error_in_its_place_and_spoils_no_other(name: str) -> None:
    own, tokens, examples = objective(name), tokenizer(), find(FOLDER, name).EXAMPLES
    mixed = [part for example in examples for part in (spoilt(example), example)]
    found = own.encode(mixed, tokens, CONTEXT)
    assert all(isinstance(entry, HanlinError) and entry.fix for entry in found[::2])
    alone = sound(own.encode(examples, tokens, CONTEXT))
    for one, other in zip(found[1::2], alone, strict=True):
        assert isinstance(one, Marked)
        assert np.array_equal(one.ids, other.ids)


@each
def test_what_was_fitted_can_be_written_down_and_read_again(name: str) -> None:
    own = objective(name)
    assert parse(type(own), own.model_dump(mode="json")) == own
