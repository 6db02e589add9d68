"""Figures of choices, ranks and labels are those of lm-eval, scikit-learn and krippendorff, on thousands of items."""

import math
from collections import Counter
from types import SimpleNamespace

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, cohen_kappa_score, label_ranking_average_precision_score, ndcg_score

from hanlin.core.errors import DataError
from hanlin.eval.metric import measure, metric
from hanlin.eval.sample import Reply, Sample

DRAW = np.random.default_rng(3)
CHOICES = ("是", "maybe not", "no — 不是")
COUNT = 3000
LIKELY = DRAW.normal(-4, 2, (COUNT, 3))
ALONE = DRAW.normal(-4, 2, (COUNT, 3))
GOLD = DRAW.integers(0, 3, COUNT)
SAMPLES = [Sample(str(place), choices=CHOICES, gold=(int(gold),)) for place, gold in enumerate(GOLD)]
REPLIES = [
    Reply(loglikelihoods=tuple(row), alone=tuple(alone), tokens=(1, 3, 4))
    for row, alone in zip(LIKELY.tolist(), ALONE.tolist(), strict=True)
]


def theirs(name: str) -> dict[str, list[float]]:
    """lm-eval's own scoring of the same items."""
    from lm_eval.api.task import ConfigurableTask

    class Doc(ConfigurableTask):
        def __init__(self) -> None:
            self.OUTPUT_TYPE = "multiple_choice"
            self._config = SimpleNamespace(process_results=None)
            self._metric_fn_list = {name: None}
            self.multiple_input = self.multiple_target = 0

        def doc_to_choice(self, doc, doc_to_choice=None):
            return list(CHOICES)

        def doc_to_target(self, doc, doc_to_target=None):
            return doc

    task, found = Doc(), []
    for row, alone, gold in zip(LIKELY, ALONE, GOLD, strict=True):
        both = [*row, *alone] if name == "acc_mutual_info" else row
        found.append(task.process_results(int(gold), [(value, False) for value in both])[name])
    return {name: found}


@pytest.mark.parametrize(
    ("by", "name"),
    [("nothing", "acc"), ("characters", "acc_norm"), ("bytes", "acc_bytes"), ("pmi", "acc_mutual_info")],
)
def test_accuracies_and_their_errors_are_those_of_lm_eval(by: str, name: str) -> None:
    from lm_eval.api.metrics import mean, mean_stderr

    found = measure(metric("accuracy", by=by), SAMPLES, REPLIES)
    expected = theirs(name)[name]
    assert found.value == pytest.approx(mean(expected), abs=1e-12)
    assert found.stderr == pytest.approx(mean_stderr(expected), abs=1e-12)
    assert 0.2 < found.value < 0.5


def test_brier_is_that_of_lm_eval_and_half_of_it_scikit_learns_for_two_choices() -> None:
    from lm_eval.api.metrics import brier_score

    expected = brier_score(theirs("brier_score")["brier_score"])
    assert measure(metric("brier"), SAMPLES, REPLIES).value == pytest.approx(expected, abs=1e-12)
    two = [Sample(choices=("no", "yes"), gold=(int(gold > 0),)) for gold in GOLD]
    replies = [Reply(loglikelihoods=tuple(row[:2])) for row in LIKELY.tolist()]
    shares = 1 / (1 + np.exp(LIKELY[:, 0] - LIKELY[:, 1]))
    expected = 2 * brier_score_loss(GOLD > 0, shares)
    assert measure(metric("brier"), two, replies).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error_is_its_formula(bins: int) -> None:
    shares = np.exp(LIKELY) / np.exp(LIKELY).sum(1, keepdims=True)
    sure, right = shares.max(1), shares.argmax(1) == GOLD
    expected = 0.0
    for place in range(bins):
        within = (sure > place / bins) & (sure <= (place + 1) / bins)
        expected += abs(right[within].sum() - sure[within].sum()) / COUNT
    one = metric("ece", bins=bins)
    assert measure(one, SAMPLES, REPLIES).value == pytest.approx(expected, abs=1e-12)
    points = one.diagram(one.statistics(SAMPLES, REPLIES).sum(0))  # pyright: ignore
    assert sum(n for *_, n in points) == COUNT


def test_a_model_that_knows_how_sure_it_is_has_little_calibration_error() -> None:
    shares = np.exp(LIKELY) / np.exp(LIKELY).sum(1, keepdims=True)
    drawn = [int(DRAW.choice(3, p=row)) for row in shares]
    samples = [Sample(choices=CHOICES, gold=(gold,)) for gold in drawn]
    assert measure(metric("ece"), samples, REPLIES).value < 0.03
    assert measure(metric("ece"), SAMPLES, REPLIES).value > 0.2


def test_ranking_is_that_of_scikit_learn() -> None:
    scores = np.round(DRAW.normal(size=(500, 12)), 1)  # with ties
    grades = DRAW.integers(0, 4, (500, 12))
    grades[:, 0] = np.maximum(grades[:, 0], 1)
    samples = [
        Sample(choices=tuple("abcdefghijkl"), gold=tuple(np.flatnonzero(row).tolist()), more={"relevance": row})
        for row in grades
    ]
    replies = [Reply(loglikelihoods=tuple(row)) for row in scores.tolist()]
    for k in (1, 5, 12):
        expected = ndcg_score(grades, scores, k=k)
        assert measure(metric("ranking", k=k), samples, replies).value == pytest.approx(expected, abs=1e-12)
    one = [Sample(choices=sample.choices, gold=(place % 12,)) for place, sample in enumerate(samples)]
    truth = np.array([np.eye(12)[place % 12] for place in range(500)])
    expected = label_ranking_average_precision_score(truth, scores)
    assert measure(metric("ranking", which="mrr", k=12), one, replies).value == pytest.approx(expected, abs=1e-12)
    by_hand = Sample(choices=("a", "b", "c", "d"), gold=(0, 3))
    reply = Reply(loglikelihoods=(4.0, 3.0, 2.0, 1.0))
    assert measure(metric("ranking", which="recall", k=2), [by_hand], [reply]).value == 0.5
    one_score = Reply(loglikelihoods=(1.0,))
    with pytest.raises(DataError, match="relevances"):
        measure(metric("ranking"), [Sample(choices=("a",), gold=(0,), more={"relevance": [1, 2]})], [one_score])


@pytest.mark.parametrize(("which", "weights"), [("cohen", None), ("linear", "linear"), ("quadratic", "quadratic")])
def test_kappa_is_that_of_scikit_learn(which: str, weights: str | None) -> None:
    first = DRAW.integers(1, 12, 800)
    second = np.clip(first + DRAW.integers(-2, 3, 800), 1, 11)
    samples = [Sample(references=(str(label),)) for label in second]
    found = measure(metric("agreement", which=which), samples, [Reply((str(label),)) for label in first])
    expected = cohen_kappa_score(first, second, weights=weights)
    assert found.value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_is_that_of_krippendorff_with_labels_missing(level: str) -> None:
    truth = DRAW.choice([1, 2, 3, 5, 9], 400)
    table = np.array([np.where(DRAW.random(400) < 0.7, truth, DRAW.choice([1, 2, 3, 5, 9], 400)) for _ in range(4)])
    table = np.where(DRAW.random((4, 400)) < 0.2, np.nan, table)
    expected = krippendorff.alpha(reliability_data=table, level_of_measurement=level)  # pyright: ignore
    texts = [["" if math.isnan(value) else f"{value:g}" for value in column] for column in table.T]
    samples = [Sample(references=tuple(some[1:])) for some in texts]
    found = measure(metric("agreement", which=level), samples, [Reply((some[0],)) for some in texts])
    assert found.value == pytest.approx(expected, abs=1e-9)


def test_labels_may_be_words_in_any_language_but_no_interval() -> None:
    samples = [Sample(references=(label,)) for label in ("好", "坏", "好", "坏")]
    replies = [Reply((label,)) for label in ("好", "坏", "坏", "坏")]
    assert measure(metric("agreement"), samples, replies).value == pytest.approx(
        cohen_kappa_score(list("好坏坏坏"), list("好坏好坏"))
    )
    with pytest.raises(DataError, match=r"is no number"):
        measure(metric("agreement", which="interval"), samples, replies)


@pytest.mark.parametrize("per", ["token", "word", "byte", "bits"])
def test_perplexities_are_those_of_lm_eval(per: str) -> None:
    from lm_eval.api.metrics import bits_per_byte, weighted_perplexity

    texts = ["It is a truth ", "翰林院在北京。", " two  words\n"]
    likely = [-20.0, -31.5, -9.25]
    samples = [Sample(references=(text,)) for text in texts]
    replies = [Reply(loglikelihoods=(value,), tokens=(4,)) for value in likely]
    counts = {"token": [4, 4, 4], "word": [5, 1, 4]}.get(per) or [len(text.encode()) for text in texts]
    items = list(zip(likely, counts, strict=True))
    expected = bits_per_byte(items) if per == "bits" else weighted_perplexity(items)
    assert measure(metric("perplexity", per=per), samples, replies).value == pytest.approx(expected, rel=1e-12)


def test_an_item_without_what_the_metric_needs_is_named() -> None:
    with pytest.raises(DataError, match="item 'q7' has no gold"):
        measure(metric("accuracy"), [Sample("q7", choices=("a", "b"))], [Reply(loglikelihoods=(1.0, 2.0))])
    with pytest.raises(DataError, match="2 choices and 1 log-likelihoods"):
        measure(metric("accuracy"), [Sample("q7", choices=("a", "b"), gold=(0,))], [Reply(loglikelihoods=(1.0,))])


def by_the_authors(items: list[tuple[str, list[float]]]) -> tuple[float, float, float]:
    """Counts by term, then the mean over terms, as their evaluation does it."""
    counts: dict[str, Counter[str]] = {}
    for term, (pro, anti, other) in items:
        counted = counts.setdefault(term, Counter())
        counted["total"] += 1
        counted["pro"] += pro > anti
        counted["related"] += (pro > other) + (anti > other)
    ss = sum(100 * one["pro"] / one["total"] for one in counts.values()) / len(counts)
    lms = sum(100 * one["related"] / (2 * one["total"]) for one in counts.values()) / len(counts)
    return ss, lms, lms * min(ss, 100 - ss) / 50


def test_stereoset_is_that_of_its_authors() -> None:
    terms = [f"term {place}" for place in DRAW.integers(0, 40, 600)]
    samples = [Sample(choices=CHOICES, more={"target": term}) for term in terms]
    likely = np.round(LIKELY[:600], 1)  # with ties
    replies = [Reply(loglikelihoods=tuple(row), tokens=(2, 2, 4)) for row in likely.tolist()]
    ss, lms, icat = by_the_authors(list(zip(terms, (likely / [2, 2, 4]).tolist(), strict=True)))
    assert measure(metric("stereoset"), samples, replies).value == pytest.approx(icat, abs=1e-9)
    assert measure(metric("stereoset", which="lms"), samples, replies).value == pytest.approx(lms, abs=1e-9)
    assert measure(metric("stereoset", which="away"), samples, replies).value == pytest.approx(-abs(ss - 50), abs=1e-9)
    with pytest.raises(DataError, match="2 sentences"):
        measure(metric("stereoset"), [Sample(choices=("a", "b"))], [Reply()])
