"""Distillation against TRL's own divergence, and on networks that learn from others."""

from typing import Any, Literal

import numpy as np
import pytest
import torch
from trl.experimental.gkd.gkd_trainer import GKDTrainer

from hanlin.core.errors import ConfigError
from hanlin.data.batch import Marked, collate
from hanlin.train.objective import Pupil
from hanlin.train.objectives.distil import EXAMPLES, Objective
from infer import tiny
from train.objectives import oracle

Kind = Literal["forward", "reverse", "js"]


def pupil(**changes: Any) -> Pupil:
    """Own and teacher's networks differ in width, too."""
    teacher = oracle.network(5, width=48, **changes).requires_grad_(False)
    return Pupil(oracle.network(0, **changes), tiny.tokenizer(), teacher=teacher)


@pytest.mark.parametrize(("kind", "beta"), [("forward", 0.0), ("reverse", 1.0), ("js", 0.3)])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_loss_and_gradients_equal_trl(
    kind: Kind, beta: float, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hanlin.train.chunked.CHUNK", 1)  # several chunks of 16 positions
    taught = pupil()
    assert taught.teacher is not None
    marked = oracle.rows([(5, 14), (3, 30), (8, 1)])
    objective = (
        Objective(kind=kind, mixture=beta or 0.5, temperature=temperature)
        if kind == "js"
        else Objective(kind=kind, temperature=temperature)
    )
    tally = objective.loss(taught, oracle.batched(marked))
    model, teacher = oracle.theirs(taught.network), oracle.theirs(taught.teacher)
    inputs = oracle.padded(marked)
    labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)[:, 1:]
    read = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
    with torch.no_grad():
        right = teacher(**read).logits[:, :-1]
    loss = GKDTrainer.generalized_jsd_loss(
        model(**read).logits[:, :-1], right, labels, beta=beta, temperature=temperature
    )
    oracle.assert_same(tally, taught.network, loss, model)


def test_a_share_of_plain_learning_is_cross_entropy() -> None:
    taught = pupil()
    marked = oracle.rows([(5, 14), (3, 30)])
    batch = oracle.batched(marked)
    tally = Objective(text_share=0.25).loss(taught, batch)
    told = oracle.figures(tally)
    mask = batch.weights != 0
    with torch.no_grad():
        plain = torch.nn.functional.cross_entropy(taught.network(batch.tokens)[mask], batch.targets[mask])
    assert told["nll"] == pytest.approx(float(plain), rel=1e-5)
    assert float(tally.total.detach() / tally.count) == pytest.approx(0.25 * told["nll"] + 0.75 * told["kl"], rel=1e-5)


def test_packed_rows_mean_the_same_as_rows_of_their_own() -> None:
    taught = pupil()
    marked = oracle.rows([(5, 14), (3, 20)])
    alone = Objective().loss(taught, oracle.batched(marked))
    packed = Objective().loss(taught, collate([marked], shifts=True, pad=0))
    torch.testing.assert_close(packed.total, alone.total, **oracle.CLOSE)
    assert packed.count == alone.count


def test_nothing_graded_is_nothing_learnt() -> None:
    taught = pupil()
    marked = [Marked(entry.ids, np.zeros(len(entry.ids), bool)) for entry in oracle.rows([(5, 4)])]
    tally = Objective().loss(taught, oracle.batched(marked))
    assert (float(tally.total.detach()), tally.count) == (0, 0)


def test_the_distance_falls_to_little_and_the_teacher_stays() -> None:
    torch.manual_seed(0)
    taught = pupil(context=128)
    assert taught.teacher is not None
    before = taught.teacher.embed.weight.clone()
    objective = Objective()
    marked = objective.encode(EXAMPLES[2:], tiny.tokenizer(), 128)
    batch = collate([[entry] for entry in marked if isinstance(entry, Marked)], shifts=True, pad=0)
    tallies = oracle.learnt(objective, taught, batch, 60, 2e-2)
    assert oracle.figures(tallies[0])["kl"] > 1
    assert oracle.figures(tallies[-1])["kl"] < 0.05
    assert torch.equal(before, taught.teacher.embed.weight)


@pytest.mark.parametrize("text", ["on_policy", "teacher"])
def test_prompts_are_continued_by_whom_the_settings_say(text: Literal["on_policy", "teacher"]) -> None:
    taught = pupil()
    assert taught.teacher is not None
    objective = Objective(text=text, max_tokens=6, text_temperature=0)
    marked = oracle.rows([(5, 14), (3, 20)])
    packed = collate([marked], shifts=True, pad=0)
    found = objective.gathered(taught, packed, np.random.default_rng(0))
    writer = taught.network if text == "on_policy" else taught.teacher
    assert found.rows == 2
    for row, entry in enumerate(marked):
        assert entry.graded is not None
        prompt = entry.ids[~entry.graded].tolist()
        read = found.tokens[row, :1].tolist() + found.targets[row].tolist()
        assert read[: len(prompt)] == prompt
        answer = found.targets[row][found.weights[row] != 0].tolist()
        ids = prompt
        with torch.no_grad():
            for token in answer:
                assert token == int(writer(torch.tensor([ids]))[0, -1, : tiny.tokenizer().vocab_size].argmax())
                ids = [*ids, token]
    tally = objective.loss(taught, found)
    tally.total.backward()  # nothing of the rollouts is left that autograd cannot take
    assert tally.count == float(found.weights.sum()) > 0


def test_another_vocabulary_is_refused_and_spare_rows_are_not() -> None:
    words = tiny.tokenizer()
    batch = oracle.batched(oracle.rows([(5, 4)]))
    spare = Pupil(oracle.network(0), words, teacher=oracle.network(1, vocabulary=words.vocab_size + 61))
    assert Objective().loss(spare, batch).total.isfinite()
    for count in (words.vocab_size - 1, words.vocab_size + 5000):
        with pytest.raises(ConfigError, match=f"the teacher knows {count:,} tokens"):
            Objective().loss(Pupil(oracle.network(0), words, teacher=oracle.network(1, vocabulary=count)), batch)
    with pytest.raises(ConfigError, match="no teacher"):
        Objective().loss(Pupil(oracle.network(0), words), batch)
