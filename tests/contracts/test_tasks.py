"""Every task reads its own examples as it says, names its source, and judges what it asks for."""

import pytest

from hanlin.core.errors import ConfigError
from hanlin.core.plugins import names
from hanlin.eval.metric import measure
from hanlin.eval.sample import Reply, Sample
from hanlin.eval.task import FOLDER, example_text, task

ALL = names(FOLDER)


@pytest.mark.parametrize("name", ALL)
def test_a_task_reads_its_examples(name: str) -> None:
    one = task(name, "x")
    assert one.name == name
    assert one.source and one.version and one.examples
    for row, sample in one.examples:
        assert one.sample({**row, "_file": "pos.txt"}) == sample


@pytest.mark.parametrize("name", ALL)
def test_the_right_answer_has_the_best_figure(name: str) -> None:
    one = task(name, "x")
    samples = [sample for _, sample in one.examples]
    if one.kind == "choose":
        figures = [
            tuple(float(place in sample.gold) * 99 for place in range(len(sample.choices))) for sample in samples
        ]
        replies = [Reply(loglikelihoods=row, alone=(0.0,) * len(row), tokens=(1,) * len(row)) for row in figures]
    elif one.kind == "write":
        replies = [Reply((_ended(f"{sample.between}{sample.references[0]}", one.stop),)) for sample in samples]
    else:
        replies = [Reply(loglikelihoods=(-1.0,), tokens=(1,)) for _ in samples]
    for label, judge in one.judges().items():
        value = measure(judge, samples, replies).value
        if judge.IDENTITY is not None and label not in ("bleu", "rouge2"):  # too short for their longest n-gram
            assert value == pytest.approx(judge.IDENTITY[2], abs=1e-6), label


def _ended(answer: str, stop: tuple[str, ...]) -> str:
    """As the engine hands it on: without the text that ended it."""
    return answer[: min((place for place in map(answer.find, stop) if place > 0), default=len(answer))]


@pytest.mark.parametrize("name", ALL)
def test_a_question_ends_where_the_answer_begins(name: str) -> None:
    """A space at its end would be a token of its own, which no model has seen there."""
    for _, sample in task(name, "x").examples:
        assert not sample.prompt.endswith(" ")
        assert len(set(sample.choices)) == len(sample.choices)
        if sample.prompt:
            assert example_text(sample).startswith(sample.prompt)


def test_a_task_without_data_asks_for_some_and_an_unknown_one_is_named() -> None:
    with pytest.raises(ConfigError, match="text has no data of its own") as told:
        task("text")
    assert told.value.fix == "name a file: --data text=FILE"
    with pytest.raises(ConfigError, match="'boolqq' is not one of the tasks") as told:
        task("boolqq")
    assert "boolq" in told.value.fix


def test_a_sample_says_where_its_passage_is_shared() -> None:
    row = {"passage": "p", "question": "q", "answer": True}
    assert task("boolq").sample(row) == Sample(
        prompt="p\nQuestion: q?\nAnswer:", choices=("no", "yes"), gold=(1,), cluster="p"
    )
