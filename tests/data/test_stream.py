"""Batches come in an order that the seed and the cursor alone decide; nothing is lost, doubled or seen by strangers."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hanlin.core.errors import ConfigError, DataError
from hanlin.core.settings import parse
from hanlin.data.batch import Batch, Marked
from hanlin.data.encoded import Encoded, in_memory
from hanlin.data.pack import best_fit
from hanlin.data.stream import Cursor, Packing, Place, Stream

PAD = 0
LENGTHS = st.lists(st.integers(2, 70), min_size=1, max_size=60)
PACKINGS: tuple[Packing, ...] = ("best_fit", "wrapped", "off")


def texts(lengths: Sequence[int], first: int = 1) -> Encoded:
    """Texts of so many tokens, no token in two places."""
    begins = first + np.cumsum([0, *lengths])
    return in_memory(
        [Marked(np.arange(begin, begin + n, dtype=np.int32)) for begin, n in zip(begins, lengths, strict=False)]
    )


def chats(lengths: Sequence[int]) -> Encoded:
    """The second half of each is graded."""
    marks = [Marked(np.arange(n, dtype=np.int32) + 1, np.arange(n) >= n // 2) for n in lengths]
    return in_memory(marks)


def stream(
    *parts: Encoded, packing: Packing = "best_fit", rows: int = 2, shifts: bool = True, context: int = 16, seed: int = 0
) -> Stream:
    weights = [1.0] * len(parts)
    return Stream(parts, weights, context=context, rows=rows, packing=packing, seed=seed, shifts=shifts, pad=PAD)


def rows_of(batches: Sequence[Batch]) -> list[tuple[int, ...]]:
    """Each row's tokens without padding."""
    kept = []
    for batch in batches:
        for tokens, targets in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True):
            kept.append(tuple(token for token, target in zip(tokens, targets, strict=True) if target != PAD))
    return kept


def epoch_rows(of: Stream) -> int:
    return len(of.window(0, of_start(of)).rows)


def of_start(of: Stream) -> tuple[Place, ...]:
    return tuple(Place() for _ in of.parts)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("shifts", [True, False])
@given(lengths=LENGTHS, seed=st.integers(0, 5))
@settings(max_examples=12, deadline=None)
def test_every_token_is_graded_once_in_an_epoch(lengths: list[int], seed: int, packing: Packing, shifts: bool) -> None:
    part = texts(lengths)
    of = stream(part, packing=packing, rows=1, shifts=shifts, seed=seed)
    graded: Counter[int] = Counter()
    for batch, cursor in of.batches():
        graded.update(batch.targets[batch.weights > 0].tolist())
        if cursor.places[0].epoch == 1 and cursor.row == 0:
            break
    first = np.cumsum([1, *lengths])[:-1].tolist()
    every = set(range(1, sum(lengths) + 1)) - (set(first) if shifts else set())
    assert set(graded) == every
    assert set(graded.values()) <= {1}


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_run_goes_on_exactly_from_every_cursor(packing: Packing) -> None:
    of = stream(texts([5, 40, 9, 17, 3, 33, 8]), texts([4, 4, 30], first=500), packing=packing, rows=3)
    whole = list(islice(of.batches(), 16))
    for at, (_, cursor) in enumerate(whole[:-2]):
        again = parse(Cursor, json.loads(cursor.model_dump_json()))
        fresh = stream(*of.parts, packing=packing, rows=3)
        for (batch, place), (expected, expected_place) in zip(
            fresh.batches(again), whole[at + 1 : at + 3], strict=False
        ):
            assert place == expected_place
            assert torch.equal(batch.tokens, expected.tokens)
            assert torch.equal(batch.weights, expected.weights)


@pytest.mark.parametrize("packing", PACKINGS)
def test_order_does_not_depend_on_the_rows_to_a_batch(packing: Packing) -> None:
    parts = texts([5, 40, 9, 17, 3, 33, 8, 2, 2, 60]), texts([4, 4, 30], first=500)
    singles = rows_of([batch for batch, _ in islice(stream(*parts, packing=packing, rows=1).batches(), 60)])
    for rows in (2, 3, 6):
        batches = islice(stream(*parts, packing=packing, rows=rows).batches(), 60 // rows)
        assert rows_of([batch for batch, _ in batches]) == singles


def test_another_seed_is_another_order_and_every_epoch_is_cut_anew() -> None:
    part = texts([200, 300, 100])
    firsts = [rows_of([batch for batch, _ in islice(stream(part, seed=seed).batches(), 10)]) for seed in (0, 0, 1)]
    assert firsts[0] == firsts[1] != firsts[2]
    of = stream(part, rows=1)
    count = epoch_rows(of)
    both = rows_of([batch for batch, _ in islice(of.batches(), 2 * count)])
    assert set(both[:count]) != set(both[count:])


@given(lengths=st.lists(st.integers(1, 64), min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_best_fit_puts_every_piece_into_one_row_that_has_room(lengths: list[int]) -> None:
    rows = best_fit(lengths, 64)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    sums = [sum(lengths[number] for number in row) for row in rows]
    assert max(sums) <= 64
    assert sorted(sums) == sorted(slow_best_fit(lengths, 64))


def slow_best_fit(lengths: Sequence[int], width: int) -> list[int]:
    """The same by trying every row."""
    sums: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [total for total in sums if total + length <= width]
        if fitting:
            sums.remove(max(fitting))
        sums.append(max(fitting, default=0) + length)
    return sums


def test_positions_of_a_row_know_their_text_and_padding_counts_nothing() -> None:
    batch, _ = next(stream(texts([6, 5, 4, 3]), rows=1).batches())
    assert batch.documents is not None
    documents = batch.documents[0]
    assert torch.equal(documents, documents.sort().values)
    for number in documents.unique():
        here = documents == number
        tokens, targets = batch.tokens[0][here], batch.targets[0][here]
        if batch.weights[0][here].any():
            assert torch.equal(targets[:-1], tokens[1:])  # within a text only
            assert torch.equal(targets, tokens + 1)
        else:
            assert (tokens == PAD).all()
    assert int(batch.weights.sum()) == 5 + 4 + 3 + 2


def test_rows_of_one_text_need_no_documents() -> None:
    assert next(stream(texts([9, 9]), packing="off", rows=2).batches())[0].documents is None
    padded = next(stream(texts([9, 4]), packing="off", rows=2, shifts=False).batches())[0]
    assert padded.documents is not None  # who looks both ways must not see padding
    assert (padded.documents[padded.tokens == PAD] == 1).all()


def test_a_long_chat_is_cut_and_counted_and_a_blind_one_too() -> None:
    facts = stream(chats([10, 20, 40]), packing="off").facts()
    assert (facts.examples, facts.cut, facts.blind) == (3, 2, 1)
    assert facts.longest == 40


def test_sources_are_mixed_by_weight_per_token() -> None:
    small, large = texts([3] * 50), texts([30] * 400, first=1000)
    of = Stream([small, large], [1.0, 3.0], context=32, rows=8, packing="best_fit", seed=0, shifts=True, pad=PAD)
    seen = Counter[bool]()
    for batch, _ in islice(of.batches(), 150):
        seen.update((batch.targets[batch.weights > 0] < 1000).tolist())
    assert seen[True] / seen.total() == pytest.approx(1 / 4, abs=0.01)


def test_unpacked_rows_of_like_length_stand_together() -> None:
    rng = np.random.default_rng(0)
    facts = stream(texts(rng.integers(2, 64, 2000).tolist()), packing="off", context=64, rows=8).facts()
    assert facts.used_share > 0.95


def test_labels_worse_ends_and_facts_stay_with_their_row() -> None:
    marks = [
        Marked(np.full(n, n, np.int32), None, (float(n),), Marked(np.full(n + 1, 100 + n, np.int32)), {"answer": n})
        for n in range(3, 9)
    ]
    of = stream(in_memory(marks), packing="auto", rows=4)
    for batch, _ in islice(of.batches(), 6):
        assert batch.labels is not None
        assert batch.rejected is not None
        assert batch.labels[:, 0].tolist() == batch.tokens[:, 0].tolist()
        assert (batch.rejected.tokens[:, 0] - 100).tolist() == batch.tokens[:, 0].tolist()
        assert [fact["answer"] for fact in batch.facts] == batch.tokens[:, 0].tolist()
    with pytest.raises(ConfigError, match="row of their own"):
        stream(in_memory(marks), packing="best_fit")


@pytest.mark.parametrize(("better", "worse", "kept"), [(5, 30, 30), (30, 5, 5), (5, 99, 65), (99, 70, 65)])
def test_a_worse_end_is_as_long_as_it_is_up_to_the_context(better: int, worse: int, kept: int) -> None:
    ends = [Marked(np.arange(n, dtype=np.int32), np.arange(n) > 2) for n in (better, worse)]
    part = in_memory([replace(ends[0], rejected=ends[1])])
    batch, _ = next(stream(part, packing="off", context=64, rows=1).batches())
    assert batch.rejected is not None
    assert batch.rejected.targets[0].tolist() == list(range(1, kept))
    assert part[0].rejected is not None
    assert len(part[0].rejected.ids) == worse


def test_a_labelled_text_that_is_cut_keeps_its_last_token() -> None:
    mark = Marked(np.arange(50, dtype=np.int32), np.arange(50) == 49, (1.0,))
    batch, _ = next(stream(in_memory([mark]), packing="off", shifts=False, rows=1).batches())
    assert batch.tokens[0, -1] == 49
    assert batch.weights[0].tolist() == [0.0] * 15 + [1.0]


def test_text_with_nothing_to_learn_is_told() -> None:
    with pytest.raises(DataError, match="has a token to learn"):
        stream(in_memory([Marked(np.array([5], np.int32))]))


def test_wrapped_rows_are_full_but_for_the_first_and_the_last() -> None:
    facts = stream(texts([700, 3, 900]), packing="wrapped").facts()
    assert facts.used_share > 0.97
    batch, _ = next(stream(texts([700, 3, 900]), packing="wrapped").batches())
    assert batch.documents is None
