"""Every metric keeps to its range, knows a perfect answer, takes an empty one, and says how it was made."""

import math

import numpy as np
import pytest

from hanlin.core.errors import ConfigError, DataError
from hanlin.core.plugins import names
from hanlin.eval.metric import FOLDER, Metric, measure, metric, signature
from hanlin.eval.sample import Reply, Sample

ALL = names(FOLDER)
BBQ = {"condition": "ambig", "biased": (0,), "unknown": (2,)}
OPINIONS = (None, None, 0, None)
SAMPLES = [
    Sample(
        str(n),
        choices=("北京", "Paris", "x"),
        gold=(n % 3,),
        references=(text,),
        more={"tests": "", "entry": "f", "side": ("pro", "anti")[n % 2], **BBQ, "opinion": OPINIONS[n]},
        cluster="aabb"[n],
    )
    for n, text in enumerate(["翰林院在北京。", "the academy is in Beijing", "1", "2"])
]
REPLIES = [
    Reply((text,), (-1.0, -2.5, -0.5 * n), (-1.0, -1.0, -1.0), (1, 2, 3))
    for n, text in enumerate(["翰林院在南京。", "the school is in Beijing now", "1", "3"])
]


@pytest.mark.parametrize("name", ALL)
def test_a_value_lies_in_its_range(name: str) -> None:
    one = metric(name)
    assert isinstance(one, Metric)
    found = measure(one, SAMPLES, REPLIES)
    low, high = one.RANGE
    assert low <= found.value <= high
    assert found.n == 4
    assert found.stderr >= 0


@pytest.mark.parametrize("name", ALL)
def test_a_perfect_answer_has_the_best_value(name: str) -> None:
    one = metric(name)
    if one.IDENTITY is None:
        return
    sample, reply, value = one.IDENTITY
    assert value == one.RANGE[one.IS_HIGHER_BETTER]
    for count in (1, 3):
        found = measure(one, [sample] * count, [reply] * count)
        assert found.value == pytest.approx(value, abs=1e-9)
        assert found.stderr == pytest.approx(0, abs=1e-9) if count > 1 else math.isnan(found.stderr)


@pytest.mark.parametrize("name", ALL)
def test_an_empty_answer_is_no_better_than_any_other(name: str) -> None:
    one = metric(name)
    low, high = one.RANGE
    for empty in (Reply(), Reply(texts=("",))):
        try:
            rows = np.asarray(one.statistics(SAMPLES, [*REPLIES[:3], empty]))
        except DataError as error:
            assert error.fix
            continue
        value = float(one.value(rows.sum(0)))
        assert low <= value <= high or (one.IDENTITY is None and math.isnan(value))  # nothing left to measure
        if one.IDENTITY is not None and name != "repetition":
            alone = float(one.value(rows[3]))
            assert alone != one.IDENTITY[2]


@pytest.mark.parametrize("name", ALL)
def test_order_changes_nothing_and_the_statistics_are_the_whole(name: str) -> None:
    one = metric(name)
    forth, back = measure(one, SAMPLES, REPLIES), measure(one, SAMPLES[::-1], REPLIES[::-1])
    assert forth.value == pytest.approx(back.value, rel=1e-12)
    sums = one.statistics(SAMPLES, REPLIES).sum(0)
    assert one.value(np.stack([sums, sums])).tolist() == [forth.value] * 2


@pytest.mark.parametrize("name", ALL)
def test_a_signature_names_the_metric_and_every_setting(name: str) -> None:
    one = metric(name)
    parts = signature(one, SAMPLES).split("|")
    assert parts[0] == name
    assert {part.partition(":")[0] for part in parts[1:]} >= {*type(one).model_fields, "version"}  # pyright: ignore


@pytest.mark.parametrize("name", ALL)
def test_no_items_and_too_few_replies_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="no items"):
        measure(metric(name), [], [])
    with pytest.raises(DataError, match="4 samples have 3 replies"):
        measure(metric(name), SAMPLES, REPLIES[:3])


def test_an_unknown_metric_or_setting_is_named() -> None:
    with pytest.raises(ConfigError, match="'blue'") as told:
        metric("blue")
    assert "bleu" in told.value.fix
    with pytest.raises(ConfigError, match=r"bleu\.tokenise"):
        metric("bleu", tokenise="zh")
