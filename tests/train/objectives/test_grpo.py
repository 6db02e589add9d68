"""GRPO against TRL's own loss and advantages, its rollouts against the network, and on a network that learns."""

import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from trl.trainer.grpo_trainer import GRPOTrainer

from hanlin.core.errors import CapacityError, ConfigError, DataError
from hanlin.core.settings import parse
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Question
from hanlin.infer.generate import generate
from hanlin.infer.sampling import Sampling
from hanlin.text.message import Message
from hanlin.train.objective import Pupil, Tally
from hanlin.train.objectives.grpo import EXAMPLES, Objective, Rolled
from hanlin.train.rewards import Reward
from hanlin.train.rollouts import Rollout, answers
from hanlin.train.rows import dealt, part
from infer import tiny
from train.objectives import oracle

Average = Literal["tokens", "sequences", "constant"]
PROMPTS = [[5, 6, 7], [9, 8, 7, 6, 5, 4], [1]]


def drawn(seed: int = 0) -> list[list[Rollout]]:
    """Answers that nobody gave, with log-probabilities near those of `oracle.pupil`'s network."""
    draw, network = np.random.default_rng(seed), oracle.network(0)
    found = []
    for prompt in PROMPTS:
        group = []
        for length in (4, 1, 6):
            tokens = draw.integers(0, 200, length).tolist()
            with torch.no_grad():
                scores = network(torch.tensor([[*prompt, *tokens]]))[0].log_softmax(-1)
            exact = scores[torch.arange(len(prompt) - 1, len(prompt) + length - 1), torch.tensor(tokens)]
            group.append(Rollout(tokens, (exact + torch.from_numpy(draw.normal(0, 0.3, length))).tolist(), length != 6))
        found.append(group)
    return found


def rolled(objective: Objective) -> Rolled:
    worths = torch.tensor([[1.0, 0.0, 0.5], [0.0, 0.0, 2.0], [1.0, 1.0, 1.0]])
    return objective.rolled(PROMPTS, drawn(), worths, torch.device("cpu"))


def figures(tally: Tally) -> Mapping[str, float]:
    return Objective().concluded(oracle.figures(tally))


@pytest.mark.parametrize("average", ["tokens", "sequences", "constant"])
def test_passes_change_nothing_about_the_mean_reward(average: str) -> None:
    objective, pupil = parse(Objective, {"average": average, "group": 3}), oracle.pupil()
    batch = rolled(objective)
    whole = objective.loss(pupil, batch)
    tallies = [objective.loss(pupil, part(batch, begin, begin + 3)) for begin in (0, 3, 6)]
    count = sum(one.count for one in tallies)
    summed = {name: sum(one.figures[name] for one in tallies) / count for name in whole.figures}
    assert objective.concluded(summed) == pytest.approx(figures(whole), abs=1e-6)
    assert figures(whole)["reward"] == pytest.approx(6.5 / 9)


def trl_inputs(batch: Rolled, reference: Any, temperature: float) -> dict[str, Any]:
    """The same rollouts as TRL lays them out: prompts padded on the left, answers on the right."""
    group = [(prompt, one) for prompt, its in zip(PROMPTS, drawn(), strict=True) for one in its]
    wide, long = max(len(prompt) for prompt, _ in group), max(len(one.tokens) for _, one in group)
    found: dict[str, Any] = {
        "prompt_ids": torch.tensor([[0] * (wide - len(prompt)) + prompt for prompt, _ in group]),
        "prompt_mask": torch.tensor([[0] * (wide - len(prompt)) + [1] * len(prompt) for prompt, _ in group]),
        "completion_ids": torch.tensor([one.tokens + [0] * (long - len(one.tokens)) for _, one in group]),
        "completion_mask": torch.tensor([[1] * len(one.tokens) + [0] * (long - len(one.tokens)) for _, one in group]),
        "old_per_token_logps": torch.tensor([one.logprobs + [0.0] * (long - len(one.tokens)) for _, one in group]),
        "advantages": batch.advantages,
        "num_items_in_batch": torch.tensor(sum(len(one.tokens) for _, one in group)),
    }
    before = []
    for prompt, one in group:
        with torch.no_grad():
            scores = (reference(torch.tensor([[*prompt, *one.tokens]]))[0] / temperature).log_softmax(-1)
        places = torch.arange(len(prompt) - 1, len(prompt) + len(one.tokens) - 1)
        said = scores[places, torch.tensor(one.tokens)]
        before.append(torch.cat((said, torch.zeros(long - len(one.tokens)))))
    return found | {"ref_per_token_logps": torch.stack(before)}


@pytest.mark.parametrize(("average", "kind"), [("tokens", "dapo"), ("sequences", "grpo"), ("constant", "dr_grpo")])
@pytest.mark.parametrize(("beta", "temperature"), [(0.0, 1.0), (0.1, 1.0), (0.1, 0.7)])
def test_loss_and_gradients_equal_trl(average: Average, kind: str, beta: float, temperature: float) -> None:
    pupil = oracle.pupil()
    objective = Objective(
        average=average, beta=beta, temperature=temperature, max_tokens=7, clip_low=0.2, clip_high=0.28, group=3
    )
    batch = rolled(objective)
    tally = objective.loss(pupil, batch)
    model = oracle.theirs(pupil.network, temperature)
    model.train()
    trainer = oracle.bare(
        GRPOTrainer,
        model=model,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level="token",
        beta=beta,
        loss_type=kind,
        epsilon_low=0.2,
        epsilon_high=0.28,
        use_vllm=False,
        max_completion_length=7,
        current_gradient_accumulation_steps=1,
        _entropy_bonus_enabled=False,
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1, report_to=[]),
    )
    trainer.accelerator.autocast = torch.enable_grad
    loss = trainer._compute_loss(model, trl_inputs(batch, pupil.reference, temperature))
    oracle.assert_same(tally, pupil.network, loss, model)
    told = figures(tally)
    assert told["clipped"] > 0.1, "clips that never hold prove nothing"
    assert (told["kl"] > 0) == (beta > 0)


def test_advantages_are_what_the_formula_says() -> None:
    worths = torch.tensor([[1.0, 0.0, 0.5], [2.0, 2.0, 2.0]])
    spread = float(np.std([1.0, 0.0, 0.5], ddof=1))
    wanted = torch.tensor([[0.5, -0.5, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(Objective(scale="none").advantages(worths), wanted)
    torch.testing.assert_close(Objective(scale="group").advantages(worths), wanted / (spread + 1e-4))


def test_answers_that_were_cut_can_be_ignored_but_still_count_in_their_group() -> None:
    kept, ignored = rolled(Objective(group=3)), rolled(Objective(group=3, is_cut_ignored=True))
    cut = torch.arange(9) % 3 == 2
    assert not ignored.weights[cut].any() and torch.equal(ignored.weights[~cut], kept.weights[~cut])
    assert torch.equal(ignored.advantages, kept.advantages)
    assert figures(Objective(group=3).loss(oracle.pupil(), ignored))["finished"] == pytest.approx(2 / 3)


def test_where_nothing_is_learnt_from_the_loss_is_nothing_and_no_nan() -> None:
    objective, pupil = Objective(group=3, is_cut_ignored=True), oracle.pupil()
    batch = part(rolled(objective), 2, 3)
    assert isinstance(batch, Rolled)
    tally = objective.loss(pupil, batch)
    assert float(tally.total.detach()) == 0 and tally.count > 0


def test_passes_change_nothing() -> None:
    pupil, objective = oracle.pupil(), Objective(group=3, beta=0.1)
    batch = rolled(objective)
    whole = objective.loss(pupil, batch)
    parts = [objective.loss(pupil, part(batch, begin, begin + 2)) for begin in range(0, 9, 2)]
    torch.testing.assert_close(sum(one.total for one in parts), whole.total, **oracle.CLOSE)
    assert sum(one.count for one in parts) == whole.count


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_rollouts_are_the_answers_that_generation_gives(temperature: float) -> None:
    network, words = oracle.network(0).double().eval(), tiny.tokenizer()
    sampling = Sampling(max_tokens=8, temperature=temperature, top_p=0.95, n=3)
    found = answers(network, words, PROMPTS, [3, 40, 500], sampling)
    for prompt, seed, group in zip(PROMPTS, [3, 40, 500], found, strict=True):
        events = list(generate(network, words, prompt, sampling.model_copy(update={"seed": seed})))
        for index, rollout in enumerate(group):
            own = [event for event in events if event.index == index]
            assert rollout.tokens == [event.token for event in own]
            assert rollout.is_finished == (own[-1].finish == "stop")
            with torch.no_grad():
                scores = (network(torch.tensor([[*prompt, *rollout.tokens]]))[0] / temperature).log_softmax(-1)
            places = torch.arange(len(prompt) - 1, len(prompt) + len(own) - 1)
            exact = scores[places, torch.tensor(rollout.tokens)]
            torch.testing.assert_close(torch.tensor(rollout.logprobs), exact.float(), atol=1e-4, rtol=0)


def questions(objective: Objective, texts: list[str], context: int = 64) -> Batch:
    asked = [Question((Message(role="user", content=text),), {"answer": "7"}) for text in texts]
    found = objective.encode(asked, tiny.tokenizer(), context)
    return oracle.batched([entry for entry in found if isinstance(entry, Marked)], shifts=False)


def test_the_same_draw_gives_the_same_answers_however_rows_are_dealt() -> None:
    pupil, objective = oracle.pupil(), Objective(group=2, max_tokens=6)
    batch = questions(objective, ["a", "bcd", "a", "ef"])
    ready = [objective.gathered(pupil, batch, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    said = [[row[mask != 0].tolist() for row, mask in zip(one.targets, one.weights, strict=True)] for one in ready]
    assert said[0] == said[1] != said[2]
    assert said[0][0:2] != said[0][4:6], "a question that comes twice is answered anew"
    some = objective.gathered(pupil, dealt(batch, 1, 2), np.random.default_rng(1))
    own = [row[mask != 0].tolist() for row, mask in zip(some.targets, some.weights, strict=True)]
    assert own[0:2] == said[0][2:4]


def test_dropout_is_off_in_rollouts_and_on_again_afterwards() -> None:
    pupil, objective = oracle.pupil(), Objective(group=2, max_tokens=2)
    pupil.network.train()
    objective.gathered(pupil, questions(objective, ["a"]), np.random.default_rng(0))
    assert pupil.network.training


def test_a_question_that_cannot_be_judged_or_answered_is_an_error() -> None:
    words = tiny.tokenizer()
    prompt = (Message(role="user", content="two and two?"),)
    (found,) = Objective().encode([Question(prompt, {})], words, 64)
    assert isinstance(found, DataError) and "no 'answer'" in found.what and "number" in found.what
    (found,) = Objective().encode([Question(prompt, {"answer": "four"})], words, 64)
    assert isinstance(found, DataError) and "'four' has no number" in found.what
    (found,) = Objective().encode([Question(prompt, {"answer": "4"})], words, 8)
    assert isinstance(found, DataError) and "more than data.context = 8" in found.what
    with pytest.raises(CapacityError, match="no room for an answer"):
        answers(oracle.network(0), words, [[1] * 64], [0], Sampling(max_tokens=4))


def test_rewards_are_named_in_the_run_file_and_add_up() -> None:
    objective = parse(Objective, {"rewards": ["number", {"use": "length", "most": 4, "weight": 0.5}], "max_tokens": 4})
    words = tiny.tokenizer()
    for text, worth in (("7", 1.5), ("8", 0.5), ("so it is 7", 1.0)):
        assert objective.worth(words, Rollout(words.encode(text), [], True), {"answer": "7"}) == worth
    assert parse(Objective, objective.model_dump()) == objective
    with pytest.raises(ConfigError, match="not one of the rewards"):
        parse(Objective, {"rewards": ["numbr"]})
    with pytest.raises(ConfigError, match="not a regular expression"):
        parse(Objective, {"rewards": [{"use": "format", "pattern": "("}]})


class Broken(Reward):
    value: float = 0.0

    def score(self, answer: str, facts: Mapping[str, Any]) -> float:
        return 1 / self.value if self.value == 0 else self.value


@pytest.mark.parametrize(("value", "told"), [(0.0, "ZeroDivisionError"), (float("nan"), "is nan")])
def test_a_reward_that_fails_is_named(value: float, told: str) -> None:
    objective = Objective(rewards=(Broken(value=value),))
    with pytest.raises(ConfigError, match=f"the reward 'Broken'.*{told}"):
        objective.worth(tiny.tokenizer(), Rollout([70], [0.0], True), {})


def test_a_model_learns_what_is_rewarded() -> None:
    began = time.perf_counter()
    words, network = tiny.tokenizer(), tiny.network(tiny.tokenizer()).requires_grad_(True)
    pupil = Pupil(network, words, reference=tiny.network(words))
    objective = parse(
        Objective, {"rewards": [{"use": "format", "pattern": "[a-z ]+"}], "group": 8, "max_tokens": 2, "beta": 0.001}
    )
    batch = questions(objective, ["hi", "say it"])
    rewards = [figures(one)["reward"] for one in oracle.learnt(objective, pupil, batch, 60, 2e-2)]
    assert rewards[0] < 0.3
    assert np.mean(rewards[-5:]) > 0.85, rewards
    assert time.perf_counter() - began < 60


def test_the_examples_can_be_asked() -> None:
    found = Objective().encode(EXAMPLES, tiny.tokenizer(), 64)
    assert all(isinstance(entry, Marked) and entry.graded is None and entry.facts for entry in found)
