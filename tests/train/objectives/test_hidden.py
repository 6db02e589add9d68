"""Masked tokens and cut spans: as often and as long as the papers say, told apart from what is seen, put back."""

from collections import Counter
from math import comb

import numpy as np
import pytest
import torch

from hanlin.core.errors import ConfigError, RefusedError
from hanlin.data.batch import Marked, collate
from hanlin.data.example import Text
from hanlin.train.objective import Pupil
from hanlin.train.objectives import masked, span
from hanlin.train.words import numbered
from train.objectives.pupils import MARKS, network, sound, tokenizer, two_way

MASK = tokenizer().backend.token_to_id("[MASK]")
WORDS = "the cat is on a mat, and 你好 (twice) 12 times. "


def test_of_the_chosen_eight_tenths_are_hidden_one_swapped_and_one_stays() -> None:
    ids = np.random.default_rng(0).integers(0, 256, (40, 500)).astype(np.int32)
    given = collate([[Marked(row)] for row in ids], shifts=False, pad=0)
    made = masked.Objective().corrupted(given, tokenizer(), np.random.default_rng(1))
    chosen = made.weights > 0
    count = int(chosen.sum())
    assert count / chosen.numel() == pytest.approx(0.15, abs=0.01)  # 4 deviations of 20,000 throws
    assert torch.equal(made.targets, given.targets)
    assert torch.equal(made.tokens[~chosen], given.tokens[~chosen])
    assert int((made.tokens[chosen] == MASK).sum()) / count == pytest.approx(0.8, abs=0.03)
    stays = int((made.tokens[chosen] == given.tokens[chosen]).sum()) / count
    assert stays == pytest.approx(0.1, abs=0.025)
    again = masked.Objective().corrupted(given, tokenizer(), np.random.default_rng(1))
    assert torch.equal(again.tokens, made.tokens)
    other = masked.Objective().corrupted(given, tokenizer(), np.random.default_rng(2))
    assert not torch.equal(other.weights, made.weights), "the holes are the same at every step"


def test_special_tokens_and_padding_are_never_chosen_and_one_token_always_is() -> None:
    special = tokenizer().backend.token_to_id(MARKS[0])
    ids = [np.array([special, 65, special], np.int32), np.array([special] * 9, np.int32)]
    given = collate([[Marked(row)] for row in ids], shifts=False, pad=0)
    for seed in range(20):
        made = masked.Objective(rate=0.01).corrupted(given, tokenizer(), np.random.default_rng(seed))
        assert made.weights.nonzero().tolist() == [[0, 1]]


def test_words_are_hidden_whole() -> None:
    tokens = tokenizer()
    ids = np.array(tokens.encode(WORDS * 20), np.int32)
    words = numbered(tokens, ids)
    pieces = [tokens.decode(ids[words == at].tolist()) for at in range(16)]
    assert pieces == ["the", " ", "cat", " ", "is", " ", "on", " ", "a", " ", "mat", ",", " ", "and", " ", "你"]
    made = masked.Objective(whole_words=True, rate=0.3).corrupted(
        collate([[Marked(ids)]], shifts=False, pad=0), tokens, np.random.default_rng(0)
    )
    chosen = made.weights[0].numpy() > 0
    for word in range(words.max() + 1):
        assert len(set(chosen[words == word])) == 1
    assert 0 < chosen.sum() < len(ids)


def test_masked_needs_a_mask_token_shares_of_at_most_all_and_sight_both_ways() -> None:
    with pytest.raises(ConfigError, match="no token '<hole>'"):
        masked.Objective(mask="<hole>").encode([Text("a")], tokenizer(), 8)
    with pytest.raises(ConfigError, match="more than all"):
        masked.Objective(hidden=0.8, swapped=0.3).encode([Text("a")], tokenizer(), 8)
    given = collate([[Marked(np.arange(9, dtype=np.int32))]], shifts=False, pad=0)
    with pytest.raises(RefusedError, match="left to right"):
        masked.Objective().loss(Pupil(network(), tokenizer()), given)


def test_the_masked_loss_is_the_mean_over_holes_of_what_the_whole_network_says() -> None:
    learner = Pupil(two_way(), tokenizer())
    given = collate([[Marked(np.arange(40, 80, dtype=np.int32))]], shifts=False, pad=0)
    made = masked.Objective().corrupted(given, tokenizer(), np.random.default_rng(0))
    tally = masked.Objective().loss(learner, made)
    logits = learner.network(made.tokens)
    labels = torch.where(made.weights > 0, made.targets, -100)
    expected = torch.nn.functional.cross_entropy(logits[0], labels[0])
    torch.testing.assert_close((tally.total / tally.count).double(), expected.double(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("length", [2, 3, 7, 20, 100, 512, 513])
def test_as_many_tokens_and_holes_are_cut_as_t5_cuts(length: int) -> None:
    own, draw = span.Objective(), np.random.default_rng(0)
    cut = min(max(round(length * 0.15), 1), length - 1)
    holes = max(round(cut / 3.0), 1)
    for _ in range(20):
        mask = own.holes(length, draw)
        assert len(mask) == length
        assert int(mask.sum()) == cut
        assert int((np.diff(mask.astype(int), prepend=0) == 1).sum()) == holes
        assert not mask[0]
        assert mask[-1], "the last hole is at the end, as in the published code"


def test_sizes_of_holes_are_spread_as_all_ways_to_split_are() -> None:
    own, draw, throws = span.Objective(), np.random.default_rng(0), 4000
    cut, holes = own.counts(100)
    assert (cut, holes) == (15, 5)
    first = Counter()
    for _ in range(throws):
        mask = own.holes(100, draw)
        begin = int(mask.argmax())
        first[int((~mask[begin:]).argmax())] += 1
    for size in range(1, 8):
        share = comb(cut - size - 1, holes - 2) / comb(cut - 1, holes - 1)
        assert first[size] / throws == pytest.approx(share, abs=0.025)


def test_a_text_and_its_spans_can_be_put_together_again_and_only_spans_are_graded() -> None:
    own, tokens = span.Objective(), tokenizer()
    entry = sound(own.encode([Text("Thank you for inviting me to your party last week. " * 3)], tokens, 256))[0]
    given = collate([[entry, Marked(np.arange(60, 97, dtype=np.int32))]], shifts=False, pad=0, width=250)
    made = own.corrupted(given, tokens, np.random.default_rng(0))
    assert made.documents is not None
    sentinels = set(own.sentinel_tokens(tokens, 20))
    for number, ids in enumerate([entry.ids, np.arange(60, 97)]):
        here = made.documents[0] == number
        seen_last = int(made.weights[0][here].nonzero()[0])
        text = made.tokens[0][here].tolist()
        targets = made.targets[0][here].tolist()
        assert text[1:] == targets[:-1]
        assert made.weights[0][here][seen_last:].all()
        seen, sought = text[: seen_last + 1], targets[seen_last:]
        assert sought[-1] == tokens.eos[0]
        spans: dict[int, list[int]] = {}
        for token in sought[:-1]:
            if token in sentinels:
                spans[token] = []
            else:
                spans[list(spans)[-1]].append(token)
        whole = [part for token in seen for part in (spans.pop(token) if token in spans else [token])]
        assert whole == ids.tolist()
        assert not spans
    assert made.tokens.shape[1] <= int(given.tokens.shape[1] * 1.15), "a row grows by a tenth"


def test_span_says_which_tokens_it_lacks() -> None:
    with pytest.raises(ConfigError, match="has 20 tokens to stand for holes, and a row has up to 26"):
        span.Objective().encode([Text("a")], tokenizer(), 512)
    with pytest.raises(ConfigError, match="has 0 tokens"):
        span.Objective(sentinels="<hole {}>").encode([Text("a")], tokenizer(), 16)


def test_a_text_of_one_token_is_left_as_it_is() -> None:
    given = collate([[Marked(np.array([65], np.int32))]], shifts=False, pad=0)
    made = span.Objective().corrupted(given, tokenizer(), np.random.default_rng(0))
    assert made.tokens.tolist() == [[65]]
    assert not made.weights.any()
