"""ORPO against TRL's own loss, and on a network that learns."""

import pytest
import torch
from trl.experimental.orpo.orpo_trainer import ORPOTrainer

from hanlin.data.batch import Marked
from hanlin.train.objectives.orpo import EXAMPLES, Objective, log_rest
from infer import tiny
from train.objectives import oracle


@pytest.mark.parametrize("lengths", [[(5, 4, 6), (3, 6, 2), (8, 1, 5)], [(3, 40, 2), (3, 40, 4)]])
def test_loss_and_gradients_equal_trl(lengths: list[tuple[int, int, int]]) -> None:
    pupil = oracle.pupil()
    marked = oracle.paired(lengths)  # better ends of one length: TRL's plain learning is a mean over tokens
    tally = Objective(beta=0.4, has_prompt=True).loss(pupil, oracle.batched(marked))
    model = oracle.theirs(pupil.network)
    trainer = oracle.bare(ORPOTrainer, beta=0.4, is_encoder_decoder=False, padding_value=0)
    inputs = {}
    for name, ends in (("chosen", marked), ("rejected", [entry.rejected for entry in marked])):
        made = oracle.padded([end for end in ends if end is not None])
        inputs[f"{name}_input_ids"] = made["input_ids"]
        inputs[f"{name}_attention_mask"] = made["attention_mask"]
        inputs[f"{name}_labels"] = made["input_ids"].masked_fill(made["completion_mask"] == 0, -100)
    loss, told = trainer.get_batch_loss_metrics(model, inputs)
    oracle.assert_same(tally, pupil.network, loss, model)
    ours = oracle.figures(tally)
    assert ours["accuracy"] == pytest.approx(told["rewards/accuracies"])
    assert ours["margin"] == pytest.approx(told["log_odds_chosen"], rel=1e-4)
    assert ours["nll"] == pytest.approx(told["nll_loss"], rel=1e-4)


def test_without_the_prompt_plain_learning_is_of_the_better_answer_alone() -> None:
    pupil = oracle.pupil()
    marked = oracle.paired([(5, 4, 6), (3, 7, 2)])
    tally = Objective(beta=0).loss(pupil, oracle.batched(marked))
    wanted = []
    for entry in marked:
        assert entry.graded is not None
        with torch.no_grad():
            scores = pupil.network(torch.tensor(entry.ids[None]))[0, :-1].log_softmax(-1)
        said = scores[torch.arange(len(entry.ids) - 1), torch.from_numpy(entry.ids[1:]).long()]
        wanted.append(-said[torch.from_numpy(entry.graded[1:])].mean())
    torch.testing.assert_close(tally.total / tally.count, torch.stack(wanted).mean(), **oracle.CLOSE)


def test_the_rest_of_a_probability_is_exact_at_both_ends() -> None:
    logs = torch.tensor([-1e-5, -0.01, -0.5, -0.7, -3.0, -30.0, -80.0], requires_grad=True)
    exact = torch.log(-torch.expm1(logs.detach().double()))
    torch.testing.assert_close(log_rest(logs).double(), exact, atol=1e-7, rtol=1e-5)
    (slope,) = torch.autograd.grad(log_rest(logs).sum(), logs)
    torch.testing.assert_close(slope.double(), -1 / torch.expm1(-logs.detach().double()), atol=1e-12, rtol=1e-4)


def test_a_certain_answer_has_a_loss_that_is_a_number() -> None:
    logs = torch.zeros(2, requires_grad=True)
    value = log_rest(logs).sum()
    value.backward()
    assert logs.grad is not None
    assert value.isfinite() and logs.grad.isfinite().all()


def test_the_better_answer_gains_as_it_learns() -> None:
    pupil = oracle.pupil(context=128)
    objective = Objective(beta=0.5)
    marked = objective.encode(EXAMPLES, tiny.tokenizer(), 128)
    batch = oracle.batched([entry for entry in marked if isinstance(entry, Marked)])
    tallies = oracle.learnt(objective, pupil, batch, 25)
    first, last = oracle.figures(tallies[0]), oracle.figures(tallies[-1])
    assert last["margin"] > first["margin"] + 0.5
    assert last["nll"] < first["nll"] - 0.5
    assert last["accuracy"] == 1
