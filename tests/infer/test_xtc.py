"""XTC: as often and as much as the proposal says, by its words written out slowly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from hanlin.infer.chance import Chance
from hanlin.infer.choose import choose, distribution, exclude_top
from hanlin.infer.sampling import Sampling

SHARES = [0.4, 0.25, 0.15, 0.12, 0.05, 0.03]
DRAWS = 2_000


def closed_form(shares: list[float], probability: float, threshold: float, spared: frozenset[int]) -> list[float]:
    """With this probability all tokens from the threshold on are gone, but the least likely of them."""
    likely = sorted((i for i, share in enumerate(shares) if share >= threshold), key=lambda i: -shares[i])
    gone = set(likely[:-1])
    if gone & spared:
        gone = set()
    left = sum(share for i, share in enumerate(shares) if i not in gone)
    cut = [0.0 if i in gone else share / left for i, share in enumerate(shares)]
    return [(1 - probability) * share + probability * other for share, other in zip(shares, cut, strict=True)]


@pytest.mark.parametrize(
    ("probability", "threshold", "spared"),
    [
        (0.3, 0.04, frozenset()),
        (0.3, 0.1, frozenset()),
        (0.5, 0.2, frozenset({3, 5})),
        (0.5, 0.1, frozenset({1})),
        (0.5, 0.3, frozenset()),
        (1.0, 0.1, frozenset({3, 5})),
        (0.0, 0.1, frozenset()),
    ],
    ids=str,
)
def test_2_000_draws_fall_as_the_closed_form_says(probability: float, threshold: float, spared: frozenset[int]) -> None:
    sampling = Sampling(temperature=1, xtc_probability=probability, xtc_threshold=threshold)
    order = np.array([3, 0, 5, 1, 4, 2])  # not sorted by likelihood
    logits = np.log(np.array(SHARES, np.float32))[order]
    places = frozenset(order.tolist().index(token) for token in spared)
    chance = Chance(5)
    drawn = [choose(logits, sampling, chance, places) for _ in range(DRAWS)]
    seen = np.bincount(order[drawn], minlength=6).tolist()
    expected = closed_form(SHARES, probability, threshold, spared)
    assert [count > 0 for count in seen] == [share > 0 for share in expected]
    alive = [i for i in range(6) if expected[i]]
    scale = DRAWS / sum(expected)
    assert chisquare([seen[i] for i in alive], [expected[i] * scale for i in alive]).pvalue > 1e-4


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=30), st.floats(0.01, 0.5))
@settings(max_examples=300, deadline=None)
def test_what_is_left_is_what_the_proposal_says(values: list[float], threshold: float) -> None:
    tokens, shares = distribution(np.array(values, np.float32), Sampling(temperature=1))
    left, kept = exclude_top(tokens, shares, threshold, frozenset())
    likely = [float(share) for share in shares if share >= threshold]
    unlikely = [float(share) for share in shares if share < threshold]
    assert sorted(kept.tolist()) == pytest.approx(sorted([*unlikely, *([min(likely)] if likely else [])]))
    assert set(left.tolist()) <= set(tokens.tolist())


def test_without_xtc_the_same_seed_draws_what_it_drew_before_there_was_xtc() -> None:
    """No chance is spent on a setting that is off."""
    first, second = Chance(3), Chance(3)
    choose(np.zeros(9, np.float32), Sampling(temperature=1), first)
    second.fine(1)
    assert first.coarse() == second.coarse()
