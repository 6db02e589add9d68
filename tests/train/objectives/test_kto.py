"""KTO against TRL's own loss, and on a network that learns."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from trl.trainer.kto_trainer import KTOTrainer

from hanlin.core.errors import ConfigError, DataError
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Rated
from hanlin.text.message import Message
from hanlin.train.objective import Pupil
from hanlin.train.objectives.kto import EXAMPLES, Objective, mismatched
from hanlin.train.rows import dealt, part
from infer import tiny
from train.objectives import oracle

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # TRL's own
LENGTHS = [(5, 4), (3, 7), (8, 1), (2, 9)]


def rated(labels: list[bool]) -> list[Marked]:
    return [replace(row, labels=(float(label),)) for row, label in zip(oracle.rows(LENGTHS), labels, strict=True)]


def ready(objective: Objective, pupil: Pupil, marked: list[Marked]) -> Batch:
    draw = np.random.default_rng(0)
    return objective.gathered(pupil, objective.corrupted(oracle.batched(marked), pupil.tokenizer, draw), draw)


@pytest.mark.parametrize("labels", [[True, False, True, False], [True] * 4, [False, False, False, True]])
@pytest.mark.parametrize("is_swapped", [False, True])
def test_loss_and_gradients_equal_trl(labels: list[bool], is_swapped: bool) -> None:
    pupil = oracle.pupil()
    if is_swapped:  # in one direction the model moved towards the mismatched answers, in the other away: kl is 0
        pupil = Pupil(oracle.network(1), pupil.tokenizer, reference=oracle.network(0).requires_grad_(False))
    assert pupil.reference is not None
    marked = rated(labels)
    objective = Objective(beta=0.2, good_weight=1.5, bad_weight=0.7)
    tally = objective.loss(pupil, ready(objective, pupil, marked))
    model = oracle.theirs(pupil.network)
    trainer = oracle.bare(
        KTOTrainer,
        model=model,
        ref_model=oracle.theirs(pupil.reference),
        calculate_KL=True,
        precompute_ref_logps=False,
        loss_type="kto",
        beta=0.2,
        desirable_weight=1.5,
        undesirable_weight=0.7,
        args=SimpleNamespace(gradient_checkpointing_kwargs=None),
    )
    others = []  # as TRL's own preparation of the data does: each prompt with the answer of the row before
    for own, before in zip(marked, marked[-1:] + marked[:-1], strict=True):
        assert own.graded is not None and before.graded is not None
        ids = np.concatenate([own.ids[~own.graded], before.ids[before.graded]])
        others.append(Marked(ids, np.arange(len(ids)) >= (~own.graded).sum()))
    inputs = oracle.padded(marked) | {f"KL_{name}": value for name, value in oracle.padded(others).items()}
    loss = trainer._compute_loss(model, inputs | {"label": torch.tensor(labels)}, False)
    oracle.assert_same(tally, pupil.network, loss, model)
    assert oracle.figures(tally)["kl"] == pytest.approx(trainer._metrics["train"]["kl"][-1], rel=1e-4)


def test_one_of_the_two_directions_has_a_distance() -> None:
    objective, words = Objective(), tiny.tokenizer()
    marked = rated([True, False, True, False])
    found = []
    for own, before in ((0, 1), (1, 0)):
        pupil = Pupil(oracle.network(own), words, reference=oracle.network(before).requires_grad_(False))
        labels = ready(objective, pupil, marked).labels
        assert labels is not None
        found.append(float(labels[0, 1]))
    assert min(found) < 0 < max(found)


def test_a_model_that_moved_away_from_mismatched_answers_has_no_distance() -> None:
    pupil = Pupil(oracle.network(0), tiny.tokenizer(), reference=oracle.network(1).requires_grad_(False))
    objective = Objective()
    batch = ready(objective, pupil, rated([True, False, True, False]))
    assert batch.labels is not None and float(batch.labels[0, 1]) < 0
    assert oracle.figures(objective.loss(pupil, batch))["kl"] == 0


def test_passes_change_nothing() -> None:
    pupil, objective = oracle.pupil(), Objective()
    batch = ready(objective, pupil, rated([True, False, True, False]))
    whole = objective.loss(pupil, batch)
    parts = [objective.loss(pupil, part(batch, begin, begin + 1)) for begin in range(4)]
    torch.testing.assert_close(sum(one.total for one in parts), whole.total)
    assert sum(one.count for one in parts) == whole.count == 4


@pytest.mark.parametrize("count", [2, 3, 5])  # of 4 rows: one process may have none
def test_processes_agree_on_what_is_usual(count: int) -> None:
    pupil, objective, draw = oracle.pupil(), Objective(), np.random.default_rng(0)
    batch = objective.corrupted(oracle.batched(rated([True, False, True, False])), pupil.tokenizer, draw)
    whole = objective.agreed(objective.gathered(pupil, batch, draw), dict)
    own = [dealt(batch, rank, count) for rank in range(count)]
    own = [objective.gathered(pupil, one, draw) if one.rows else one for one in own]
    told: list[dict[str, float]] = []
    for one in own:
        objective.agreed(one, lambda sums: told.append(dict(sums)) or sums)
    total = {name: sum(one[name] for one in told) for name in told[0]}
    alone = {float(one.labels[0, 1]) for one in own if one.rows and one.labels is not None}
    assert len(alone) > 1  # each for itself would compare with something else
    for one in own:
        agreed = objective.agreed(one, lambda _: total)
        if one.rows:
            assert agreed.labels is not None and whole.labels is not None
            torch.testing.assert_close(agreed.labels[:, 1], whole.labels[: one.rows, 1])


def test_each_prompt_is_given_the_answer_of_the_row_before() -> None:
    rows = oracle.rows([(2, 2), (3, 1)])
    found = mismatched(oracle.batched(rows))
    assert found is not None
    for row, own, before in ((0, rows[0], rows[1]), (1, rows[1], rows[0])):
        assert own.graded is not None and before.graded is not None
        wanted = [*own.ids[~own.graded], *before.ids[before.graded]]
        read = found.tokens[row].tolist()[:1] + found.targets[row].tolist()
        assert read[: len(wanted)] == wanted
        assert int(found.weights[row].sum()) == int(before.graded.sum())


def test_a_batch_of_one_row_is_refused_in_training_and_has_no_distance_in_validation() -> None:
    pupil, objective = oracle.pupil(), Objective()
    batch = ready(objective, pupil, rated([True, False, True, False])[:1])
    with pytest.raises(ConfigError, match="this one has 1"):
        objective.loss(pupil, batch)
    pupil.network.eval()
    assert oracle.figures(objective.loss(pupil, batch))["kl"] == 0


def test_wanted_and_unwanted_answers_part_as_it_learns() -> None:
    network, words = oracle.network(0, context=128), tiny.tokenizer()
    pupil = Pupil(network, words, reference=oracle.network(0, context=128).requires_grad_(False))
    objective = Objective(beta=0.5)
    marked = objective.encode(EXAMPLES, words, 128)
    batch = oracle.batched([entry for entry in marked if isinstance(entry, Marked)])
    tallies = oracle.learnt(objective, pupil, batch, 25)
    last = oracle.figures(tallies[-1])
    assert last["accuracy"] == 1
    assert last["margin"] > 1
    assert float(tallies[-1].total / 4) < float(tallies[0].total / 4) / 2


def test_a_conversation_without_an_answer_is_an_error() -> None:
    user = Message(role="user", content="a")
    for messages in ((user,), (Message(role="assistant", content="a"),), ()):
        (found,) = Objective().encode([Rated(messages, True)], tiny.tokenizer(), 64)
        assert isinstance(found, DataError)
        assert f"of {len(messages)} messages" in found.what
