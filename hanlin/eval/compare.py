"""Is B really better than A? Two kept exams in; for each figure a paired test, wins and losses, and a sentence out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hanlin.core.errors import DataError
from hanlin.eval.metric import Metric, rows_of
from hanlin.eval.sample import Sample
from hanlin.eval.score import Score, check_comparable
from hanlin.eval.statistics import Difference, corrected, paired, sign_test, verdict
from hanlin.eval.store import Kept


@dataclass(frozen=True)
class Comparison:
    """One figure of two models on the items that both were asked."""

    task: str
    metric: str
    found: Difference
    wins: int
    """Items on which B is better."""
    losses: int
    ties: int
    sign_p: float
    """Of wins and losses alone; for right and wrong answers this is McNemar's exact test."""
    verdict: str
    examples: Mapping[str, Sequence[int]]
    """Places of items that B won and lost, the clearest first."""
    group: str = ""
    left_out: int = 0
    """Items that only one of the two was asked."""


def compare(a: Kept, b: Kept, judges: Mapping[str, Metric], draws: int = 10_000) -> list[Comparison]:
    """Each figure over all items, and over each group, p-values corrected together (Holm).

    Raises:
        DataError: they share no item.
        RefusedError: they were not measured in the same way.
    """
    mine = {_asked(sample): place for place, sample in enumerate(a.samples)}
    pairs = [(mine[_asked(sample)], place) for place, sample in enumerate(b.samples) if _asked(sample) in mine]
    if not pairs:
        raise DataError(f"{a.model} and {b.model} share no item of {a.task}", "examine both with the same settings")
    samples = [a.samples[one] for one, _ in pairs]
    left_out = len(a.samples) + len(b.samples) - 2 * len(pairs)
    groups = {"": list(range(len(samples)))}
    for place, sample in enumerate(samples):
        if sample.group:
            groups.setdefault(sample.group, []).append(place)
    compared = []
    for name, judge in judges.items():
        _check(a, b, name)
        first, second = (
            rows_of(judge, samples, [exam.replies[pair[side]] for pair in pairs]) for side, exam in enumerate((a, b))
        )
        clusters = [sample.cluster or f"\0{place}" for place, sample in enumerate(samples)]
        better = np.nan_to_num((judge.value(second) - judge.value(first)) * (1 if judge.IS_HIGHER_BETTER else -1))
        for group, places in groups.items():
            found = paired(first[places], second[places], judge.value, [clusters[place] for place in places], draws)
            wins, losses = int((better[places] > 0).sum()), int((better[places] < 0).sum())
            order = sorted(places, key=lambda place: better[place])
            examples = {
                "won": [place for place in order[::-1] if better[place] > 0][:5],
                "lost": [place for place in order if better[place] < 0][:5],
            }
            ties = len(places) - wins - losses
            sign = sign_test(wins, losses)
            compared.append(
                Comparison(
                    a.task, name, found, wins, losses, ties, sign, "", examples, group, left_out if not group else 0
                )
            )
    fixed = corrected([one.found.p for one in compared])
    names = (a.model, b.model)
    return [
        replace(
            one,
            found=replace(one.found, p=p),
            verdict=verdict(replace(one.found, p=p), names, judges[one.metric].IS_HIGHER_BETTER),
        )
        for one, p in zip(compared, fixed, strict=True)
    ]


def _asked(sample: Sample) -> tuple[str, str]:
    return sample.id, sample.prompt


def _check(a: Kept, b: Kept, name: str) -> None:
    told = [next((one for one in exam.scores if one["name"] == name), None) for exam in (a, b)]
    if told[0] and told[1]:
        one, other = (Score(**{key: value for key, value in some.items() if key != "name"}) for some in told if some)
        check_comparable(one, other)
