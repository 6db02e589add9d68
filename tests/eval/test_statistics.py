"""Statistics keep what they promise, found out by simulation: intervals cover, tests err as often as they say."""

import numpy as np
import pytest
from scipy import stats

from hanlin.core.errors import ConfigError, DataError
from hanlin.eval.metric import mean_rows, mean_value
from hanlin.eval.statistics import (
    bootstrap_interval,
    clustered_stderr,
    corrected,
    detectable,
    mcnemar,
    paired,
    pooled,
    sign_test,
    verdict,
)

DRAW = np.random.default_rng(11)


def exam(n: int, share: float = 0.6) -> np.ndarray:
    return (DRAW.random(n) < share).astype(float)


def rows(values: np.ndarray) -> np.ndarray:
    return mean_rows(values.tolist())


def test_a_standard_error_is_the_deviation_over_the_root_of_n() -> None:
    values = DRAW.normal(size=200)
    assert clustered_stderr(values) == pytest.approx(stats.sem(values), rel=1e-12)
    each = [str(place) for place in range(200)]
    assert clustered_stderr(values, each) == pytest.approx(stats.sem(values), rel=1e-12)


def test_intervals_of_clustered_items_cover_and_those_that_ignore_clusters_do_not() -> None:
    clusters = np.repeat(np.arange(60), 5).astype(str).tolist()
    clustered = naive = 0
    for _ in range(400):
        values = np.repeat(DRAW.normal(size=60), 5) + 0.5 * DRAW.normal(size=300)
        clustered += abs(values.mean()) < 1.96 * clustered_stderr(values, clusters)
        naive += abs(values.mean()) < 1.96 * clustered_stderr(values)
    assert 0.91 < clustered / 400 < 0.98
    assert naive / 400 < 0.8


def test_bootstrap_intervals_cover() -> None:
    found = [bootstrap_interval(rows(exam(120)), mean_value, draws=300, seed=seed) for seed in range(300)]
    assert 0.90 < np.mean([low <= 0.6 <= high for low, high in found]) < 0.985


def test_the_paired_test_errs_as_often_as_it_says_and_finds_what_is_there() -> None:
    false = found = 0
    for seed in range(150):
        skill = DRAW.random(150)
        a, b, better = (rows((DRAW.random(150) < chance).astype(float)) for chance in (skill, skill, skill**0.5))
        false += paired(a, b, mean_value, draws=200, seed=seed).p < 0.05
        found += paired(a, better, mean_value, draws=200, seed=seed).p < 0.05
    assert false / 150 < 0.1
    assert found / 150 > 0.6


def test_swapping_at_random_agrees_with_the_exact_test_of_right_and_wrong() -> None:
    a, b = exam(80, 0.5), exam(80, 0.65)
    found = paired(rows(a), rows(b), mean_value, draws=20_000)
    both = int((a.astype(bool) & ~b.astype(bool)).sum()), int((b.astype(bool) & ~a.astype(bool)).sum())
    expected = stats.binomtest(both[0], sum(both)).pvalue
    assert mcnemar(a.astype(bool), b.astype(bool)) == pytest.approx(expected, rel=1e-9)
    assert found.p == pytest.approx(expected, abs=0.015)
    assert found.difference == pytest.approx((b - a).mean())
    assert found.stderr == pytest.approx(stats.sem(b - a), rel=0.12)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (3, 12), (700, 800), (40, 40), (2000, 1000)])
def test_the_sign_test_is_exact(wins: int, losses: int) -> None:
    expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert sign_test(wins, losses) == pytest.approx(expected, rel=1e-9)


def test_a_clustered_difference_is_tested_by_cluster() -> None:
    """Ten passages of twenty copies of one answer are ten items, not two hundred."""
    a, b = np.repeat(exam(10, 0.3), 20), np.repeat(np.ones(10), 20)
    clusters = np.repeat(np.arange(10), 20).astype(str).tolist()
    alone, together = (paired(rows(a), rows(b), mean_value, which, draws=2000).p for which in (None, clusters))
    assert alone < 0.001 < together


def test_corrections_are_those_of_their_papers() -> None:
    p = [0.01, 0.04, 0.03, 0.005, 0.8]
    assert corrected(p, "bh") == pytest.approx(stats.false_discovery_control(p).tolist())
    assert corrected(p) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.8])  # Holm, by hand
    assert corrected([]) == []
    with pytest.raises(ConfigError, match="bonferroni"):
        corrected(p, "bonferroni")


def test_a_family_of_true_nulls_is_rarely_broken_after_correction() -> None:
    broken = np.mean([min(corrected(DRAW.random(20).tolist())) < 0.05 for _ in range(600)])
    assert 0.02 < broken < 0.085


def test_the_detectable_difference_is_found_eight_times_of_ten() -> None:
    least = detectable(0.02)
    assert least == pytest.approx(0.056, abs=1e-3)
    hits = np.abs(DRAW.normal(least, 0.02, 20_000)) > 1.96 * 0.02
    assert hits.mean() == pytest.approx(0.8, abs=0.02)


def test_pooled_errors_are_those_of_lm_eval() -> None:
    from lm_eval.api.metrics import pooled_sample_stderr

    groups = [(0.5, 0.05, 100), (0.25, 0.02, 400), (0.9, 0.1, 10)]
    value, error = pooled(groups)
    assert value == pytest.approx((50 + 100 + 9) / 510)
    assert error == pytest.approx(pooled_sample_stderr([e for _, e, _ in groups], [n for *_, n in groups]), rel=1e-12)


def test_what_is_not_significant_is_said_in_words() -> None:
    a, same, much = exam(60), exam(60), np.ones(60)
    told = verdict(paired(rows(a), rows(same), mean_value, draws=500), ("base", "tuned"))
    assert told.startswith("not significant (p = ")
    assert "cannot tell base from tuned" in told
    assert verdict(paired(rows(a), rows(much), mean_value), ("base", "tuned")).startswith("tuned is better than base")
    lower = verdict(paired(rows(a), rows(much), mean_value), ("base", "tuned"), higher_is_better=False)
    assert lower.startswith("base is better than tuned")
    with pytest.raises(DataError, match="A has 60 items and B 59"):
        paired(rows(a), rows(a[1:]), mean_value)
