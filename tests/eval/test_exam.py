"""An exam asks as lm-eval does, keeps what was answered, and gives the same figures whatever came with what."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from hanlin.core.errors import CapacityError, ConfigError, DataError, RefusedError
from hanlin.eval.compare import compare
from hanlin.eval.exam import Progress, Result, examine
from hanlin.eval.gate import Gate
from hanlin.eval.metric import measure, metric
from hanlin.eval.sample import Reply, Sample
from hanlin.eval.score import Score
from hanlin.eval.store import Kept, Store
from hanlin.eval.subject import Local
from hanlin.eval.task import Task, samples, task
from hanlin.eval.tell import as_json, as_markdown, items_table
from hanlin.infer.model import Model
from hanlin.model.compiled import Compiled
from hanlin.model.decoder import Decoder
from hanlin.model.load import Checkpoint
from hanlin.model.plan import compiled
from infer import tiny

ROWS = [
    {
        "question": f"Which is number {place}?",
        "options": ["one", "two 二", "three"],
        "answer": place % 3,
        "topic": topic,
    }
    for place, topic in enumerate(["a", "b"] * 10)
]
PLAN = """
data = "rows.jsonl"
prompt = "Question: {question}\\nAnswer:"
choices = "options"
gold = "answer"
group = "topic"
metrics = ["accuracy", { use = "accuracy", by = "bytes" }, "ece"]
"""


@pytest.fixture(scope="module")
def model() -> Model:
    tokenizer = tiny.tokenizer()
    network = tiny.network(tokenizer, 1024)
    return Model(Checkpoint(network, network.config, "llama", tokenizer, {}, Path(__file__)), "tiny")  # pyright: ignore


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    path = tmp_path / "numbers.toml"
    path.write_text(PLAN, "utf-8")
    return path


def finished(steps: Any) -> Result:
    *_, last = steps
    assert isinstance(last, Result)
    return last


def by_lm_eval(model: Model, prompt: str, answer: str) -> float:
    """Its definition, one text at a time: `_encode_pair`, then one pass over all tokens."""
    spaces = len(prompt) - len(prompt.rstrip())
    if spaces:
        answer, prompt = prompt[-spaces:] + answer, prompt[:-spaces]
    tokenizer = model.tokenizer
    before, whole = tokenizer.encode(prompt), tokenizer.encode(prompt + answer)
    own = len(whole) - len(before)
    said = model.network(torch.tensor([whole[:-1]]))[0].log_softmax(-1)[-own:]
    return float(said.gather(1, torch.tensor(whole[-own:])[:, None]).sum())


def test_likelihoods_are_those_of_lm_evals_definition(model: Model, plan: Path) -> None:
    asked = samples(task(str(plan)), shots=2)
    letters = [replace(sample, choices=("A", "B", "C"), id=f"{sample.id} letters") for sample in asked]
    spaced = [replace(sample, prompt=f"{sample.prompt} ", between="") for sample in asked[:3]]
    for some in (asked, letters, spaced, asked[:1], [*asked[:2], *letters[:5]]):
        for sample, reply in zip(some, Local(model).choose(some), strict=True):
            expected = [by_lm_eval(model, sample.prompt, sample.between + choice) for choice in sample.choices]
            assert reply.loglikelihoods == pytest.approx(expected, abs=2e-4)


def test_figures_depend_neither_on_batches_nor_on_order(
    model: Model, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = samples(task(str(plan)))
    whole = list(Local(model).choose(asked))
    monkeypatch.setattr("hanlin.eval.subject.AT_ONCE", 3)
    for one, other in zip(whole, reversed(list(Local(model).choose(asked[::-1]))), strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)


def test_an_exam_has_scores_groups_and_tells_them(model: Model, plan: Path) -> None:
    found = finished(examine(Local(model), task(str(plan)), Store(":memory:")))
    assert list(found.scores) == ["accuracy", "accuracy_bytes", "ece"]
    assert found.scores["accuracy"].n == 20
    assert {group: scores["accuracy"].n for group, scores in found.groups.items()} == {"a": 10, "b": 10}
    told = as_markdown([found])
    assert "| tiny | numbers | accuracy ↑ |" in told
    assert "`accuracy|by:bytes|version:1`" in told
    assert json.loads(json.dumps(as_json([found]), allow_nan=False))["exams"][0]["items"] == 20
    table = items_table([found]).to_pylist()
    assert table[3]["prompt"] == "Question: Which is number 3?\nAnswer:"
    assert len(table[3]["loglikelihoods"]) == 3


class Counting(Local):
    """Counts what it is asked."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.asked = 0

    def choose(self, samples: Sequence[Sample], neutral: str | None = None):
        for reply in super().choose(samples, neutral):
            self.asked += 1
            yield reply


def test_intervals_keep_to_the_range_and_are_wilsons_for_right_and_wrong_answers() -> None:
    for right, n in ((0, 20), (20, 20), (19, 20), (7, 50)):
        rows = [Reply(loglikelihoods=(0.0, -1.0) if place < right else (-1.0, 0.0)) for place in range(n)]
        score = measure(metric("accuracy"), [Sample(choices=("a", "b"), gold=(0,))] * n, rows)
        low, high = score.interval()
        # the sample's standard error has n - 1 below, Wilson's n: so the interval is his of n - 1 answers
        count = n if right in (0, n) else n - 1
        share, z = right / n, 1.959963984540054
        for bound in (low, high):  # his bounds are where (p - bound)² = z² bound (1 - bound) / n
            assert (share - bound) ** 2 == pytest.approx(z**2 * bound * (1 - bound) / count, abs=1e-9)
        assert 0 <= low <= share <= high <= 1
    assert Score("bleu", 1.0, 5.0, 9, "x", lowest=0.0, highest=100.0).interval()[0] == 0.0


def test_the_weights_of_a_model_and_the_form_of_its_questions_are_told_apart(model: Model, tmp_path: Path) -> None:
    assert isinstance(model.network, Decoder)
    small = Model(model.checkpoint, "tiny", Compiled(compiled(model.network, 1024, 8), model.config, "int8"))
    assert [Local(model).name, Local(small).name] == ["tiny", "tiny:int8"]
    assert [Local(model).form, Local(model, True).form] == ["plain", "chat"]


def test_a_stopped_exam_goes_on_where_it_was_and_nothing_is_asked_twice(
    model: Model, plan: Path, tmp_path: Path
) -> None:
    subject, one = Counting(model), task(str(plan))
    steps = examine(subject, one, Store(tmp_path / "exams.sqlite"))
    assert list(islice(steps, 6))[-1].done == 5  # pyright: ignore
    steps.close()  # pyright: ignore
    steps = list(examine(subject, one, Store(tmp_path / "exams.sqlite")))
    assert isinstance(steps[0], Progress) and steps[0].known == 5
    assert subject.asked == 20
    again = finished(examine(subject, one, Store(tmp_path / "exams.sqlite")))
    assert subject.asked == 20
    assert again.scores == steps[-1].scores  # pyright: ignore


def test_a_failure_half_way_loses_no_answer(model: Model, plan: Path, tmp_path: Path) -> None:
    class Dying(Counting):
        def choose(self, samples: Sequence[Sample], neutral: str | None = None):
            for place, reply in enumerate(super().choose(samples, neutral)):
                if place == 7:
                    raise CapacityError("gone", "again")
                yield reply

    one = task(str(plan))
    with pytest.raises(CapacityError, match="gone"):
        list(examine(Dying(model), one, Store(tmp_path / "exams.sqlite")))
    first, *_ = examine(Counting(model), one, Store(tmp_path / "exams.sqlite"))
    assert isinstance(first, Progress) and first.known == 7


def test_a_limit_draws_the_same_fair_share_and_examples_are_not_asked(plan: Path) -> None:
    one = task(str(plan))
    some = samples(one, limit=8, shots=2)
    assert some == samples(one, limit=8, shots=2)
    assert [sample.id for sample in some] == sorted((sample.id for sample in some), key=int)
    shown = some[0].prompt.split("\n\n")
    assert len(shown) == 3
    assert all(not sample.prompt.endswith(shown[0][: shown[0].index("\n") + 8]) for sample in some)
    assert {sample.id for sample in samples(one, limit=8, seed=1)} != {sample.id for sample in samples(one, limit=8)}


def test_a_task_without_right_answers_cannot_show_examples() -> None:
    with pytest.raises(DataError, match="has no right answer to show") as told:
        samples(task("minimal_pairs"), shots=1)
    assert "--shots 0" in told.value.fix


def test_what_is_written_and_what_is_read_are_judged(model: Model, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"q": "1 + 1 =", "a": ["2", "two"]}\n{"q": "翰", "a": ["林"]}\n', "utf-8")
    (tmp_path / "sums.toml").write_text('data = "rows.jsonl"\nprompt = "{q}"\ngold = "a"\nmax_tokens = 4\n', "utf-8")
    found = finished(examine(Local(model), task(str(tmp_path / "sums.toml")), Store(":memory:")))
    texts = ["".join(event.text for event in model.generate(q, max_tokens=4, stop=["\n"])) for q in ("1 + 1 =", "翰")]
    assert [reply.text for reply in found.replies] == texts
    (tmp_path / "poem.txt").write_text("床前明月光\n疑是地上霜\n", "utf-8")
    found = finished(examine(Local(model), task("text", str(tmp_path / "poem.txt")), Store(":memory:")))
    both = model.score("床前明月光") + model.score("疑是地上霜")
    assert found.scores["bits_per_byte"].value == pytest.approx(both.bits_per_byte)
    assert found.scores["perplexity"].value == pytest.approx(both.perplexity)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"answer": "four"}, "'four' is none of the choices"),
        ({"answer": 7}, "number 7 of 3"),
        ({"answer": None}, "it has no 'answer'"),
        ({"options": None}, "it has no 'options'"),
    ],
)
def test_a_row_without_a_right_answer_is_named(plan: Path, change: dict[str, Any], what: str) -> None:
    rows = [*ROWS[:4], {**ROWS[4], **change}]
    (plan.parent / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(DataError, match=r"rows\.jsonl, line 5") as told:
        samples(task(str(plan)))
    assert what in told.value.what


def test_a_task_may_bear_a_few_bad_rows_and_tells_them(model: Model, plan: Path) -> None:
    rows = [{**row, "answer": "four"} if place == 4 else row for place, row in enumerate(ROWS)]
    (plan.parent / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    bears = replace(task(str(plan)), most_bad=0.05)
    found = finished(examine(Local(model), bears, Store(":memory:")))
    assert found.total == 19
    (told,) = found.left_out
    assert "line 5" in told
    assert "'four' is none of the choices" in told
    with pytest.raises(DataError, match="line 5"):
        samples(replace(bears, most_bad=0.04))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('prompts = "x"', "prompts is not a setting"),
        ('prompt = "{q}"', "gold is missing"),
        ('choices = ["a", "b"]\ngold = "g"', "no prompt"),
        ('metrics = ["blue"]', "'blue' is not one of the metrics"),
        ("metrics = [{ by = 3 }]", "a metric has no name"),
        ("prompt =", "is not TOML"),
    ],
)
def test_a_broken_task_file_is_named(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=what):
        task(str(path), "x.jsonl")


def test_a_gate_breaks_at_what_is_out_of_bounds_or_was_not_measured(model: Model, plan: Path, tmp_path: Path) -> None:
    found = finished(examine(Local(model), task(str(plan)), Store(":memory:")))
    value = found.scores["accuracy"].value
    path = tmp_path / "gate.toml"
    path.write_text(f"[numbers]\naccuracy = {{ at_least = {value} }}\n", "utf-8")
    assert Gate.read(path).broken([found]) == []
    path.write_text(
        f"[numbers]\naccuracy = {{ at_least = {value}, sure = true }}\n[mmlu]\nacc = {{ at_least = 0 }}", "utf-8"
    )
    assert [line.split()[:2] for line in Gate.read(path).broken([found])] == [["numbers", "accuracy"], ["mmlu", "acc"]]
    for text in ("", "[numbers]\naccuracy = {}\n", "numbers = 3\n", "[numbers]\naccuracy = { least = 1 }\n"):
        path.write_text(text, "utf-8")
        with pytest.raises(ConfigError):
            Gate.read(path)


def kept(name: str, right: Sequence[bool], one: Task, settings: dict[str, Any] | None = None) -> Kept:
    asked = samples(one)
    replies = [
        Reply(loglikelihoods=tuple(float(place in sample.gold) * (1 if is_right else -1) for place in range(3)))
        for sample, is_right in zip(asked, right, strict=True)
    ]
    told = [
        {
            "name": "accuracy",
            "metric": "accuracy",
            "value": 0.0,
            "stderr": 0.0,
            "n": 20,
            "signature": "accuracy|by:nothing",
        }
    ]
    return Kept(name, one.name, settings or {}, 0.0, told, asked, replies)


def test_a_comparison_says_who_is_better_or_that_nothing_is_shown(plan: Path) -> None:
    one = task(str(plan))
    judges = {"accuracy": one.judges()["accuracy"]}
    a = kept("base", [place % 2 == 0 for place in range(20)], one)
    better, _, _ = compare(a, kept("tuned", [True] * 20, one), judges)
    assert (better.wins, better.losses, better.ties) == (10, 0, 10)
    assert better.sign_p == pytest.approx(2 / 2**10)
    assert better.verdict.startswith("tuned is better than base by 0.5")
    assert list(better.examples["won"])[:2] == [19, 17] or len(better.examples["won"]) == 5
    close, *_ = compare(a, kept("other", [place % 2 == 0 or place == 1 for place in range(20)], one), judges)
    assert close.verdict.startswith("not significant")
    with pytest.raises(RefusedError, match="differ"):
        strange = kept("tuned", [True] * 20, one)
        compare(a, replace(strange, scores=[{**strange.scores[0], "signature": "accuracy|by:bytes"}]), judges)


def test_an_exam_that_was_kept_comes_back_whole(plan: Path, tmp_path: Path) -> None:
    store, exam = Store(tmp_path / "exams.sqlite"), kept("base", [True] * 20, task(str(plan)), {"limit": None})
    store.keep_exam(replace(exam, made=5.0))
    assert Store(tmp_path / "exams.sqlite").last("base") == {'numbers {"limit": null}': replace(exam, made=5.0)}
    assert store.last("nobody") == {}
