"""What is drawn: the same tokens with the same probabilities as Transformers' warpers, and as often as they say."""

import random
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from hanlin.core.errors import WeightsError
from hanlin.infer.chance import Chance
from hanlin.infer.choose import History, check, choose, distribution, draw, largest, report
from hanlin.infer.generate import known
from hanlin.infer.sampling import Sampling

EACH = [
    {},
    {"top_k": 7},
    {"top_p": 0.8},
    {"min_p": 0.1},
    {"typical_p": 0.7},
    {"top_k": 30, "top_p": 0.9},
    {"top_k": 40, "top_p": 0.95, "min_p": 0.02, "typical_p": 0.9},
    {"top_p": 0.999},
    {"min_p": 1e-6, "typical_p": 0.95},
    {"top_k": 1},
]


def warpers(chosen: Sampling) -> LogitsProcessorList:
    chain = [TemperatureLogitsWarper(chosen.temperature)]
    if chosen.top_k:
        chain.append(TopKLogitsWarper(chosen.top_k))
    if chosen.top_p < 1:
        chain.append(TopPLogitsWarper(chosen.top_p))
    if chosen.min_p:
        chain.append(MinPLogitsWarper(chosen.min_p))
    if chosen.typical_p < 1:
        chain.append(TypicalLogitsWarper(chosen.typical_p))
    return LogitsProcessorList(chain)


def theirs(logits: torch.Tensor, chosen: Sampling) -> torch.Tensor:
    """Probability of every token after Transformers' chain, in float64."""
    warped = warpers(chosen)(torch.zeros(1, 1, dtype=torch.long), logits[None].double())
    return warped[0].softmax(0)


def ours(logits: torch.Tensor, chosen: Sampling) -> torch.Tensor:
    tokens, shares = distribution(logits.numpy(), chosen)
    return torch.zeros(len(logits), dtype=torch.float64).index_put(
        (torch.from_numpy(tokens),), torch.from_numpy(shares)
    )


@pytest.mark.parametrize("how", EACH, ids=str)
@pytest.mark.parametrize(("vocabulary", "spread"), [(50, 2.0), (5000, 1.0), (5000, 6.0)])
def test_probabilities_equal_those_of_transformers_warpers(how: dict, vocabulary: int, spread: float) -> None:
    for seed, temperature in product(range(3), (0.3, 1.0, 1.7)):
        logits = torch.randn(vocabulary, generator=torch.Generator().manual_seed(seed)) * spread
        chosen = Sampling(temperature=temperature, **how)
        torch.testing.assert_close(ours(logits, chosen), theirs(logits, chosen), rtol=1e-9, atol=1e-12)


def test_equal_logits_at_the_edge_of_top_k_all_stay_as_in_transformers() -> None:
    logits = torch.tensor([3.0, 1.0, 2.0, 2.0, 2.0, 0.0])
    chosen = Sampling(temperature=1.0, top_k=2)
    torch.testing.assert_close(ours(logits, chosen), theirs(logits, chosen))
    assert (ours(logits, chosen) > 0).sum() == 4


@given(
    st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=40, unique=True),
    st.floats(0.05, 5),
    st.integers(0, 50),
    st.floats(0.05, 1),
    st.floats(0, 1),
    st.floats(0.05, 1),
)
@settings(max_examples=300, deadline=None)
def test_any_mixture_of_settings_leaves_a_distribution(
    values: list[float], temperature: float, top_k: int, top_p: float, min_p: float, typical_p: float
) -> None:
    chosen = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, typical_p=typical_p)
    tokens, shares = distribution(np.array(values, np.float32), chosen)
    assert len(tokens) >= 1
    assert len(set(tokens.tolist())) == len(tokens)
    assert float(shares.sum()) == pytest.approx(1)
    assert bool((shares >= 0).all())


@pytest.mark.parametrize("how", EACH[:7], ids=str)
def test_100_000_draws_fall_as_the_closed_form_says(how: dict) -> None:
    """Chi-square against the formulas written out below, not against our own probabilities."""
    logits = torch.randn(50, generator=torch.Generator().manual_seed(3)).numpy() * 2
    chosen = Sampling(temperature=0.8, **how)
    tokens, shares = distribution(logits, chosen)
    drawn = tokens[draw(shares, Chance(11), 100_000)]
    seen = np.bincount(drawn, minlength=50)
    expected = closed_form(logits.tolist(), chosen)
    assert {i for i in range(50) if seen[i]} <= {i for i in range(50) if expected[i]}
    alive = [i for i in range(50) if expected[i] > 0]
    rare = sum(expected[i] for i in alive if expected[i] < 1e-4)
    common = [i for i in alive if expected[i] >= 1e-4]
    observed = [*(seen[i] for i in common), *([100_000 - sum(seen[i] for i in common)] if rare else [])]
    wanted = [*(expected[i] * 100_000 for i in common), *([rare * 100_000] if rare else [])]
    scale = sum(observed) / sum(wanted)
    assert len(wanted) == 1 or chisquare(observed, [value * scale for value in wanted]).pvalue > 1e-3


def closed_form(logits: list[float], chosen: Sampling) -> list[float]:
    """The chain in plain Python, set by set."""
    from math import exp, log

    weight = {i: exp(value / chosen.temperature) for i, value in enumerate(logits)}

    def normal(part: dict[int, float]) -> dict[int, float]:
        total = sum(part.values())
        return {i: value / total for i, value in part.items()}

    share = normal(weight)
    if chosen.top_k:
        share = normal({i: share[i] for i in sorted(share, key=lambda i: -share[i])[: chosen.top_k]})
    if chosen.top_p < 1:
        kept, mass = {}, 0.0
        for i in sorted(share, key=lambda i: -share[i]):
            if mass < chosen.top_p:
                kept[i] = share[i]
            mass += share[i]
        share = normal(kept)
    if chosen.min_p:
        floor = chosen.min_p * max(share.values())
        share = normal({i: value for i, value in share.items() if value >= floor})
    if chosen.typical_p < 1:
        entropy = -sum(value * log(value) for value in share.values())
        kept, mass = {}, 0.0
        for i in sorted(share, key=lambda i: abs(-log(share[i]) - entropy)):
            if mass < chosen.typical_p:
                kept[i] = share[i]
            mass += share[i]
        share = normal(kept)
    return [share.get(i, 0.0) for i in range(len(logits))]


def test_repetition_penalty_equals_that_of_transformers() -> None:
    logits = torch.randn(40, generator=torch.Generator().manual_seed(0))
    history = History([3, 5, 5, 9], 40, Sampling(repetition_penalty=1.3))
    history.add(17)
    said = torch.tensor([[3, 5, 5, 9, 17]])
    expected = RepetitionPenaltyLogitsProcessor(1.3)(said, logits[None].clone())[0]
    np.testing.assert_array_equal(history.penalise(logits.numpy()), expected.numpy())


def test_frequency_and_presence_penalties_count_the_answer_and_not_the_prompt() -> None:
    history = History([1, 1, 2], 6, Sampling(frequency_penalty=0.5, presence_penalty=0.25))
    for token in (3, 3, 4):
        history.add(token)
    assert history.penalise(np.zeros(6, np.float32)).tolist() == [0, 0, 0, -1.25, -0.75, 0]


@pytest.mark.parametrize("temperature", [1e-5, 1e-40, 5e-324, 1e300])
def test_no_temperature_overflows(temperature: float) -> None:
    logits = np.array([1, 3, 2], np.float32)
    _, shares = distribution(logits, Sampling(temperature=temperature))
    assert np.isfinite(shares).all()
    assert float(shares.sum()) == pytest.approx(1)
    if temperature < 1:
        assert choose(logits, Sampling(temperature=temperature, top_p=0.9), Chance(0)) == 1


def test_greedy_takes_the_likeliest_and_needs_no_chance() -> None:
    chance = Chance(1)
    assert choose(np.array([0, 5, 1], np.float32), Sampling(), chance) == 1
    assert chance.coarse() == Chance(1).coarse()


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**63 - 1])
def test_chance_is_that_of_torch(seed: int) -> None:
    """Answers drawn with a seed stay what they were when torch drew them."""
    theirs, own = torch.Generator().manual_seed(seed), Chance(seed)
    assert own.fine(1000).tolist() == torch.rand(1000, generator=theirs, dtype=torch.float64).tolist()
    assert own.coarse() == float(torch.rand(1, generator=theirs))
    assert own.fine(1) == torch.rand(1, generator=theirs, dtype=torch.float64).numpy()


@pytest.mark.parametrize("count", [1, 4, 9, 40])
def test_the_largest_come_in_order_and_equal_ones_by_their_place(count: int) -> None:
    values = np.array([2, 5, 1, 5, 3, 3, 0, 3, 5, 1], np.float32)
    ordered = sorted(range(10), key=lambda place: (-values[place], place))
    assert largest(values, count).tolist() == ordered[:count]
    tied = [place for place in ordered if values[place] >= values[ordered[min(count, 10) - 1]]]
    assert largest(values, count, has_ties=True).tolist() == tied


def test_sampling_leaves_the_global_generators_alone() -> None:
    before = torch.get_rng_state(), random.getstate()
    choose(np.zeros(9, np.float32), Sampling(temperature=1.0), Chance(2))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()


def test_log_probabilities_are_log_softmax_of_the_raw_logits() -> None:
    logits = torch.randn(30, generator=torch.Generator().manual_seed(4)) * 3
    own, top = report(logits.numpy(), 12, 5, 30, float(logits.logsumexp(0)))
    expected = logits.log_softmax(0)
    assert own == pytest.approx(float(expected[12]), abs=1e-5)
    assert [entry.token for entry in top] == expected.topk(5).indices.tolist()
    assert [entry.logprob for entry in top] == pytest.approx(expected.topk(5).values.tolist(), abs=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_an_error_with_a_fix(bad: float) -> None:
    with pytest.raises(WeightsError, match="instead of probabilities"):
        check(known(torch.tensor([0.0, bad]), 2).total)
