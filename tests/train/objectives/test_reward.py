"""The reward model against TRL's own loss on Transformers' model with a head, and on a network that learns."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import LlamaForCausalLM, LlamaForSequenceClassification
from trl.trainer.reward_trainer import RewardTrainer

from hanlin.data.batch import Marked
from hanlin.train.objective import Pupil
from hanlin.train.objectives.reward import EXAMPLES, Objective, rewards
from infer import tiny
from train.objectives import oracle


def judge(**changes: int) -> Pupil:
    torch.manual_seed(3)
    head = nn.Linear(32, 1, bias=False)
    return Pupil(oracle.network(0, **changes), tiny.tokenizer(), head)


def scoring(pupil: Pupil) -> LlamaForSequenceClassification:
    assert pupil.head is not None
    plain: LlamaForCausalLM = oracle.theirs(pupil.network)
    plain.config.num_labels = 1
    plain.config.pad_token_id = 0
    made = LlamaForSequenceClassification(plain.config)
    made.model.load_state_dict(plain.model.state_dict())
    made.score.load_state_dict(pupil.head.state_dict())
    return made


@pytest.mark.parametrize("lengths", [[(5, 4, 6), (3, 7, 2), (8, 1, 5)], [(3, 40, 2), (4, 35, 3)]])
@pytest.mark.parametrize(("margin", "centring"), [(0.0, 0.0), (0.5, 0.1)])
def test_loss_and_gradients_equal_trl(lengths: list[tuple[int, int, int]], margin: float, centring: float) -> None:
    pupil = judge()
    assert pupil.head is not None
    marked = oracle.paired(lengths)
    for end in oracle.ends(marked):
        end.ids[end.ids == 0] = 1  # Transformers finds a text's end by its padding
    tally = Objective(margin=margin, centring=centring).loss(pupil, oracle.batched(marked, shifts=False))
    model = scoring(pupil)
    trainer = oracle.bare(RewardTrainer, model=model, args=SimpleNamespace(center_rewards_coefficient=centring or None))
    inputs = oracle.padded(oracle.ends(marked))
    inputs = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
    loss = trainer.compute_loss(model, inputs | {"margin": torch.full((len(marked),), margin)})
    ours = tally.total / tally.count
    torch.testing.assert_close(ours, loss, **oracle.CLOSE)
    ours.backward()
    loss.backward()
    torch.testing.assert_close(pupil.head.weight.grad, model.score.weight.grad, **oracle.CLOSE)
    torch.testing.assert_close(pupil.network.embed.weight.grad, model.model.embed_tokens.weight.grad, **oracle.CLOSE)
    told = {name: value[-1] for name, value in trainer._metrics["train"].items()}
    assert oracle.figures(tally)["accuracy"] == pytest.approx(told["accuracy"])
    assert oracle.figures(tally)["margin"] == pytest.approx(told["margin"], rel=1e-4, abs=1e-6)


def test_padding_and_neighbours_change_no_reward() -> None:
    pupil = judge()
    marked = oracle.rows([(5, 4), (3, 30)])
    with torch.no_grad():
        together = rewards(pupil, oracle.batched(marked, shifts=False))
        alone = rewards(pupil, oracle.batched(marked[:1], shifts=False))
    torch.testing.assert_close(together[:1], alone, **oracle.CLOSE)


def test_one_number_for_each_text_is_asked_for() -> None:
    assert Objective().outputs(()) == 1


def test_the_better_answers_win_as_it_learns() -> None:
    pupil, objective = judge(context=128), Objective(centring=0.01)
    marked = objective.encode(EXAMPLES, tiny.tokenizer(), 128)
    batch = oracle.batched([entry for entry in marked if isinstance(entry, Marked)], shifts=False)
    last = oracle.figures(oracle.learnt(objective, pupil, batch, 20)[-1])
    assert last["accuracy"] == 1
    assert last["margin"] > 2
