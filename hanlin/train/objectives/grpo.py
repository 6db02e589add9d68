"""Learn from the model's own answers: several to each question, judged by rules, the better ones reinforced.

    advantage = (reward - mean of the group) / (standard deviation of the group + 1e-4)
    ratio     = p(token) / p(token) when it was drawn
    loss      = mean -min(ratio * advantage, clip(ratio, 1 - clip_low, 1 + clip_high) * advantage) + beta * kl
    kl        = q / p - log(q / p) - 1, where q is the model before training

Sources: https://arxiv.org/abs/2402.03300; https://arxiv.org/abs/2503.20783 (`scale = "none"`, `average = "constant"`);
https://arxiv.org/abs/2503.14476 (two clips, means over tokens, leaving out what was cut). Held against TRL's
GRPOTrainer.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BeforeValidator, Field, SerializeAsAny
from torch import Tensor

from hanlin.core.errors import ConfigError, DataError, HanlinError, shown
from hanlin.core.plugins import find
from hanlin.core.settings import parse
from hanlin.data.batch import Batch, Marked, collate
from hanlin.data.example import Example, Question
from hanlin.infer.sampling import Sampling
from hanlin.text.message import Message
from hanlin.text.tokenizer import Tokenizer
from hanlin.train import objective, pairs
from hanlin.train.chunked import token_logprobs
from hanlin.train.objective import Pupil, Tally
from hanlin.train.rewards import Reward
from hanlin.train.rollouts import Rollout, answers

SPREAD = 1e-4
"""Added to a group's standard deviation before it divides: where all are equal, nothing is learnt."""
ANSWERS = "answers"
"""The figure that the others are divided by."""


def _rewards(value: Any) -> Any:
    """Names or mappings with `use` → the settings of the files they name."""
    items = value if isinstance(value, list | tuple) else [value]
    made = []
    for item in items:
        entry = {"use": item} if isinstance(item, str) else item
        if isinstance(entry, dict):
            file = find("hanlin.train.rewards", str(entry.get("use", "")))
            entry = parse(file.Reward, entry, "objective.rewards")
        made.append(entry)
    return tuple(made)


@dataclass(frozen=True, eq=False, kw_only=True)
class Rolled(Batch):
    """Answers of the model's own, a row each; `weights` are 1 where the model chose the target."""

    advantages: Float[Tensor, " B"]
    drawn: Float[Tensor, "B T"]
    """Log-probability of each chosen target when it was drawn; 0 elsewhere."""
    worths: Float[Tensor, " B"]
    """Rewards."""
    finished: Float[Tensor, " B"]
    """1 for answers that came to their end."""
    lengths: Float[Tensor, " B"]
    """Tokens of each answer."""


class Objective(objective.Objective):
    """Settings of `objective.use = "grpo"`."""

    TAKES: ClassVar = (Question,)
    SHIFTS: ClassVar = False
    NEEDS: ClassVar = frozenset({"reference"})
    use: Literal["grpo"] = "grpo"
    """The file of this objective."""
    rewards: Annotated[tuple[SerializeAsAny[Reward], ...], BeforeValidator(_rewards)] = Field(
        default=("number",), min_length=1, validate_default=True
    )
    """What an answer is worth: names of files in `rewards`, or mappings {use = …, weight = …}; their scores add up."""
    group: int = Field(default=8, ge=2, le=128)
    """Answers to each question. `train.batch` counts questions."""
    max_tokens: int = Field(default=128, ge=1)
    """Most tokens of an answer."""
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """How wild answers are; the loss is of the distribution at this temperature."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw from the likeliest tokens that together hold this share of probability."""
    beta: float = Field(default=0.0, ge=0)
    """Weight of the distance from the model before training."""
    clip_low: float = Field(default=0.2, ge=0, le=1)
    """By how much a token's ratio may fall before it stops to count."""
    clip_high: float = Field(default=0.2, ge=0)
    """By how much it may rise."""
    scale: Literal["group", "none"] = "group"
    """Divide advantages by the spread of their group, or not: that favours questions that are nearly always, or
    nearly never, answered."""
    average: Literal["tokens", "sequences", "constant"] = "tokens"
    """Mean over all tokens, over answers of their means, or over answers of their sums divided by max_tokens."""
    is_cut_ignored: bool = False
    """Answers cut at max_tokens are not learnt from; they still count in their group's mean."""

    @property
    def needs(self) -> frozenset[str]:
        """The model as it was only where its answers are held near to it."""
        return self.NEEDS if self.beta else frozenset()

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """The question through the chat template, the answer opened."""

        def one(example: Example) -> Marked:
            assert isinstance(example, Question)
            for reward in self.rewards:
                if wrong := reward.wrong(example.facts):
                    raise DataError(f"{wrong}, by which '{_name(reward)}' judges answers", "add it, or another reward")
            ids = tokenizer.chat(example.prompt, add_generation_prompt=True)
            if len(ids) > context:
                raise DataError(
                    f"the question has {len(ids):,} tokens, more than data.context = {context:,}",
                    "raise data.context, or leave the row out: an opened answer cannot be cut off",
                )
            return Marked(np.array(ids, np.int32), facts=dict(example.facts))

        return pairs.each(examples, one)

    def gathered(self, pupil: Pupil, batch: Batch, draw: np.random.Generator) -> Batch:
        """`group` answers to each question, one a row, and what they are worth.

        An answer depends on the question and the first number drawn, not on the other rows: so neither passes nor
        processes change it.

        Raises:
            CapacityError: there is no room for an answer.
            ConfigError: a reward fails, or is no number.
        """
        prompts = [
            tokens[: max(1, int(weights.count_nonzero()))].tolist()
            for tokens, weights in zip(batch.tokens, batch.weights, strict=True)
        ]
        sampling = Sampling(max_tokens=self.max_tokens, temperature=self.temperature, top_p=self.top_p, n=self.group)
        seeds = _seeds(prompts, int(draw.integers(1 << 62)))
        groups = answers(pupil.network, pupil.tokenizer, prompts, seeds, sampling)
        facts = batch.facts or ({},) * batch.rows
        worths = torch.tensor(
            [[self.worth(pupil.tokenizer, one, its) for one in group] for group, its in zip(groups, facts, strict=True)]
        )
        return self.rolled(prompts, groups, worths, batch.tokens.device)

    def worth(self, tokenizer: Tokenizer, rollout: Rollout, facts: Mapping[str, Any]) -> float:
        """The weighted sum of what the rewards say.

        Raises:
            ConfigError: a reward fails, or is no number.
        """
        text = tokenizer.decode(rollout.tokens, skip_special=True)
        total = 0.0
        for reward in self.rewards:
            try:
                score = float(reward.score(text, facts))
            except Exception as error:  # it may be the user's own file, and may raise anything
                what = f"the reward '{_name(reward)}' fails on {shown(text)}: {type(error).__name__}: {error}"
                raise ConfigError(what, "mend it, or take another") from error
            if not math.isfinite(score):
                raise ConfigError(f"the reward '{_name(reward)}' of {shown(text)} is {score}", "let it be a number")
            total += reward.weight * score
        return total

    def rolled(
        self,
        prompts: Sequence[Sequence[int]],
        groups: Sequence[Sequence[Rollout]],
        worths: Float[Tensor, "Q G"],
        device: torch.device,
    ) -> Rolled:
        """Prompts, their answers and what these are worth, as the batch to learn from."""
        made, drawn = [], []
        for prompt, group in zip(prompts, groups, strict=True):
            for one in group:
                ids = np.array([*prompt, *one.tokens], np.int32)
                made.append([Marked(ids, np.arange(len(ids)) >= len(prompt))])
                drawn.append(torch.tensor(one.logprobs))
        base = collate(made, shifts=True, pad=0)
        flat = [one for group in groups for one in group]
        is_finished = torch.tensor([float(one.is_finished) for one in flat])
        then = torch.zeros(base.weights.shape)
        then[base.weights != 0] = torch.cat(drawn)
        return Rolled(
            tokens=base.tokens.to(device),
            targets=base.targets.to(device),
            weights=(base.weights * is_finished[:, None] if self.is_cut_ignored else base.weights).to(device),
            advantages=self.advantages(worths).flatten().to(device),
            drawn=then.to(device),
            worths=worths.flatten().to(device),
            finished=is_finished.to(device),
            lengths=torch.tensor([float(len(one.tokens)) for one in flat]).to(device),
        )

    def advantages(self, worths: Float[Tensor, "Q G"]) -> Float[Tensor, "Q G"]:
        """How much better each answer is than its group."""
        better = worths - worths.mean(1, keepdim=True)
        return better / (worths.std(1, keepdim=True) + SPREAD) if self.scale == "group" else better

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """The mean that `average` says."""
        assert isinstance(batch, Rolled), "gathered comes first"
        trimmed = pairs.trimmed(batch)
        mask = trimmed.weights != 0
        advantages = batch.advantages[:, None].expand(mask.shape)[mask]
        then = batch.drawn[:, : mask.shape[1]][mask]
        now = token_logprobs(
            pupil.network, pupil.network.trunk(trimmed.tokens)[mask], trimmed.targets[mask], self.temperature
        )
        ratio = (now - then).exp()
        held = ratio.clamp(1 - self.clip_low, 1 + self.clip_high)
        losses = -torch.minimum(ratio * advantages, held * advantages)
        kl = torch.zeros_like(now)
        if self.beta:
            with pupil.before() as network:
                x = network.trunk(trimmed.tokens)[mask]
                before = token_logprobs(network, x, trimmed.targets[mask], self.temperature)
            kl = (before - now).exp() - (before - now) - 1
            losses = losses + self.beta * kl
        shares, count = self._shares(mask)
        lengths = mask.sum(1).clamp(min=1)[:, None].expand(mask.shape)[mask]
        figures = {
            "reward": batch.worths.sum(),
            "length": batch.lengths.sum(),
            "finished": batch.finished.sum(),
            "kl": (kl.detach() / lengths).sum(),
            "clipped": ((ratio != held) / lengths).sum(),
        }
        told = {name: float(value) for name, value in figures.items()}
        return Tally((losses * shares).sum(), count, {**told, ANSWERS: float(batch.rows)})

    def concluded(self, figures: Mapping[str, float]) -> Mapping[str, float]:
        """Means over answers, whatever the loss is divided by."""
        rows = figures.get(ANSWERS, 1.0)
        return {name: value / rows for name, value in figures.items() if name != ANSWERS}

    def _shares(self, mask: Tensor) -> tuple[Tensor, float]:
        """What each token's loss is multiplied by, and what their sum is divided by."""
        if self.average == "tokens":
            return torch.ones(int(mask.sum()), device=mask.device), max(1.0, float(mask.sum()))
        if self.average == "constant":
            return torch.ones(int(mask.sum()), device=mask.device), float(len(mask) * self.max_tokens)
        return (1 / mask.sum(1).clamp(min=1))[:, None].expand(mask.shape)[mask], float(len(mask))


def _name(reward: Reward) -> str:
    return str(getattr(reward, "use", type(reward).__name__))


def _seeds(prompts: Sequence[Sequence[int]], base: int) -> list[int]:
    """One seed for each prompt, from its tokens; a prompt that comes again gets another."""
    seen: Counter[tuple[int, ...]] = Counter()
    seeds = []
    for prompt in prompts:
        key = tuple(prompt)
        text = f"{base} {seen[key]} {' '.join(map(str, key))}"
        seen[key] += 1
        seeds.append(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big"))
    return seeds


EXAMPLES: tuple[Example, ...] = (
    Question((Message(role="user", content="What is 3 + 4?"),), {"answer": "7"}),
    Question((Message(role="user", content="12 减 5 等于多少？"),), {"answer": "7"}),
    Question((Message(role="user", content="6 * 7 = ?"),), {"answer": 42}),
)
