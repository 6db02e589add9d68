"""Classes and numbers by the last token: equal to Transformers' heads and scikit-learn's scores, cut where asked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from torch import nn

from hanlin.core.errors import ConfigError, DataError, HanlinError
from hanlin.data.batch import Batch, collate
from hanlin.data.example import Labelled
from hanlin.model.checkpoint import Checkpoint
from hanlin.model.save import save_folder
from hanlin.train.objective import Pupil
from hanlin.train.objectives import classify, regress
from train.objectives.pupils import network, sound, tokenizer

TEXTS = ("short", "a rather longer text about something", "middle-sized one", "你好")


def pupil(outputs: int) -> Pupil:
    model = network().float()
    return Pupil(model, tokenizer(), nn.Linear(model.config.width, outputs, bias=False))


def theirs(learner: Pupil, folder: Path, kind: str) -> Any:
    """Transformers' classifier with the same weights."""
    from transformers import LlamaForSequenceClassification

    assert isinstance(learner.head, nn.Linear)
    save_folder(
        Checkpoint(network=learner.network, config=learner.network.config, family="llama", tokenizer=None), folder
    )
    model = LlamaForSequenceClassification.from_pretrained(
        folder, num_labels=learner.head.out_features, pad_token_id=0, problem_type=kind, dtype=torch.float32
    ).train()
    with torch.no_grad():
        model.score.weight.copy_(learner.head.weight)
    return model


def batch(own: Any, examples: list[Labelled], context: int = 64) -> Batch:
    found = sound(own.encode(examples, tokenizer(), context))
    return collate([[entry] for entry in found], shifts=False, pad=0)


CASES = {
    "single_label_classification": (["b", "a", "c", "a"], classify.Objective()),
    "multi_label_classification": ([("a", "c"), (), ("b",), ("a", "b", "c")], classify.Objective()),
    "regression": ([1.0, 2.5, -3.0, 0.5], regress.Objective(mean=0.0, deviation=1.0)),
}


@pytest.mark.parametrize("kind", CASES)
def test_loss_and_gradients_equal_those_of_transformers(kind: str, tmp_path: Path) -> None:
    labels, settings = CASES[kind]
    examples = [Labelled(text, label) for text, label in zip(TEXTS, labels, strict=True)]
    own = settings.fitted(examples)
    learner = pupil(own.outputs(()))
    given = batch(own, examples)
    tally = own.loss(learner, given)
    (tally.total / tally.count).backward()

    model = theirs(learner, tmp_path, kind)
    assert given.labels is not None
    wanted = given.labels[:, 0].long() if kind.startswith("single") else given.labels
    expected = model(given.tokens, attention_mask=(given.weights > 0).long(), labels=wanted.squeeze(-1))
    expected.loss.backward()
    torch.testing.assert_close(tally.total / tally.count, expected.loss, atol=1e-5, rtol=1e-5)
    assert learner.head is not None
    torch.testing.assert_close(learner.head.weight.grad, model.score.weight.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        learner.network.embed.weight.grad, model.model.embed_tokens.weight.grad, atol=1e-5, rtol=1e-4
    )
    assert model.score.weight.grad.abs().max() > 1e-3


def test_class_weights_weigh_as_torch_does_and_balance_the_classes() -> None:
    examples = [Labelled(text, label) for text, label in zip(TEXTS, "aaab", strict=True)]
    own = classify.Objective(weights="balanced").fitted(examples)
    assert own.weights == {"a": 4 / 6, "b": 2.0}
    learner = pupil(2)
    given = batch(own, examples)
    tally = own.loss(learner, given)
    logits, truth = classify.judged(learner, given)
    expected = F.cross_entropy(logits, truth[:, 0].long(), weight=torch.tensor([4 / 6, 2.0]))
    torch.testing.assert_close(tally.total / tally.count, expected)


def test_a_missed_class_weighs_by_how_rare_it_is_where_a_text_may_have_several() -> None:
    own = classify.Objective(weights="balanced").fitted([Labelled("x", ("a",))] * 3 + [Labelled("y", ("a", "b"))])
    assert own.has_many
    assert own.weights == {"a": 0.0, "b": 3.0}


@pytest.mark.parametrize("many", [False, True])
def test_accuracy_and_macro_f1_equal_scikit_learns(many: bool) -> None:
    draw = np.random.default_rng(0)
    names = ("a", "b", "c")
    labels = [
        tuple(draw.choice(names, draw.integers(0, 3), replace=False)) if many else str(draw.choice(names))
        for _ in range(12)
    ]
    examples = [Labelled(f"text {number}", label) for number, label in enumerate(labels)]
    own = classify.Objective(classes=names, has_many=many).fitted(examples)
    learner = pupil(3)
    sums: dict[str, float] = {}
    count = 0.0
    said, true = [], []
    for start in (0, 5):
        given = batch(own, examples[start : start + 5 + 2 * bool(start)])
        tally = own.loss(learner, given)
        count += tally.count
        for name, value in tally.figures.items():
            sums[name] = sums.get(name, 0.0) + value
        logits, truth = classify.judged(learner, given)
        said += [logits > 0 if many else logits.argmax(1)]
        true += [truth if many else truth[:, 0]]
    told = own.concluded({name: value / count for name, value in sums.items()})
    mine, gold = torch.cat(said).int().numpy(), torch.cat(true).int().numpy()
    assert set(told) == {"accuracy", "macro_f1"}
    assert told["macro_f1"] == pytest.approx(f1_score(gold, mine, average="macro", zero_division=0.0))
    assert told["accuracy"] == pytest.approx((mine == gold).reshape(12, -1).all(1).mean())


def test_the_end_or_the_start_of_a_long_text_is_kept_and_the_loss_is_told() -> None:
    tokens, example = tokenizer(), Labelled("0123456789", "a", pair="abcd")
    texts = {}
    for keep in ("start", "end"):
        own = classify.Objective(classes=("a", "b"), keep=keep, between="|")
        (found,) = sound(own.encode([example], tokens, 9))
        assert found.facts == {"cut": 7}
        texts[keep] = tokens.decode(found.ids.tolist())
    assert texts == {"start": "0123abcd<|im_end|>", "end": "789|abcd<|im_end|>"}
    (whole,) = sound(own.encode([example], tokens, 16))
    assert tokens.decode(whole.ids.tolist()) == "0123456789|abcd<|im_end|>"
    assert whole.facts is None


def test_labels_nobody_knows_are_errors_in_their_place() -> None:
    own = classify.Objective(classes=("good", "bad"))
    found = own.encode([Labelled("x", "god"), Labelled("y", "bad"), Labelled("z", ())], tokenizer(), 32)
    assert isinstance(found[0], HanlinError)
    assert "did you mean 'good'" in found[0].fix
    assert not isinstance(found[1], HanlinError)
    assert isinstance(found[2], HanlinError)
    numbers = regress.Objective(mean=0.0, deviation=1.0).encode(
        [Labelled("x", float("nan")), Labelled("y", "2.5"), Labelled("z", "many")], tokenizer(), 32
    )
    assert [isinstance(entry, HanlinError) for entry in numbers] == [True, False, True]


def test_data_with_nothing_to_learn_are_refused() -> None:
    with pytest.raises(DataError, match="only the class a"):
        classify.Objective().fitted([Labelled("x", "a")] * 3)
    with pytest.raises(ConfigError, match="no class"):
        classify.Objective(weights={"spam": 2.0}).fitted([Labelled("x", "a"), Labelled("y", "b")])
    with pytest.raises(DataError, match="every label is 2"):
        regress.Objective().fitted([Labelled("x", 2.0)] * 3)
    with pytest.raises(DataError, match="no label is a number"):
        regress.Objective().fitted([Labelled("x", "a")])


def test_numbers_are_learnt_in_deviations_and_told_in_their_own_unit() -> None:
    examples = [Labelled(text, value) for text, value in zip(TEXTS, (10.0, 20.0, 30.0, 40.0), strict=True)]
    own = regress.Objective(kind="huber").fitted(examples)
    assert (own.mean, own.deviation) == (25.0, pytest.approx(np.std([10, 20, 30, 40])))
    given, learner = batch(own, examples), pupil(1)
    tally = own.loss(learner, given)
    figures, truth = regress.judged(learner, given)
    torch.testing.assert_close(tally.total / tally.count, F.huber_loss(figures, truth))
    back = figures[:, 0].detach().numpy() * own.deviation + own.mean
    assert tally.figures["mean_error"] / 4 == pytest.approx(np.abs(back - [10, 20, 30, 40]).mean(), rel=1e-5)


def test_whole_numbers_as_labels_are_names_without_a_point() -> None:
    own = classify.Objective().fitted([Labelled("x", 0.0), Labelled("y", 1.0)])
    assert own.classes == ("0", "1")


@pytest.mark.parametrize("kind", CASES)
def test_a_trunk_in_bfloat16_learns_with_its_finer_head(kind: str) -> None:
    labels, settings = CASES[kind]
    examples = [Labelled(text, label) for text, label in zip(TEXTS, labels, strict=True)]
    own = settings.fitted(examples)
    learner = pupil(own.outputs(()))
    given = batch(own, examples)
    fine = float(own.loss(learner, given).total.detach())
    learner.network.bfloat16()
    rough = own.loss(learner, given).total
    rough.backward()
    assert float(rough.detach()) == pytest.approx(fine, rel=0.02)
    assert learner.head is not None
    assert learner.head.weight.grad is not None
