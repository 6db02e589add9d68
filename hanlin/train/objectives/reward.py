"""A judge of answers: a head on the last token's state gives each answer a number, higher for the better of a pair.

    loss = -log sigmoid(reward(better) - reward(worse) - margin) + centring * (reward(better) + reward(worse))²

Bradley and Terry's model of comparisons: https://doi.org/10.2307/2334029; the pull to 0: https://arxiv.org/abs/2312.09244.
Held against TRL's RewardTrainer.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from hanlin.core.errors import HanlinError
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Example, Preference
from hanlin.text.message import Message
from hanlin.text.tokenizer import Tokenizer
from hanlin.train import objective, pairs
from hanlin.train.objective import Pupil, Tally


class Objective(objective.Objective):
    """Settings of `objective.use = "reward"`."""

    TAKES: ClassVar = (Preference,)
    IS_EVEN: ClassVar = False
    SHIFTS: ClassVar = False
    use: Literal["reward"] = "reward"
    """The file of this objective."""
    margin: float = Field(default=0.0, ge=0)
    """By how much the better answer is to win before the loss eases."""
    centring: float = Field(default=0.0, ge=0)
    """Weight of a pull of both rewards' sum to 0; 0.01 keeps them near it."""

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """Prompt and each end through the chat template; the ends are marked."""
        return pairs.preferences(examples, tokenizer)

    def outputs(self, classes: Sequence[str]) -> int:
        """One number for each text."""
        return 1

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """The mean over pairs."""
        parts = pairs.parted(batch)
        is_whole = pairs.complete(parts)
        better, worse = torch.cat([rewards(pupil, part) for part in parts]).chunk(2)
        losses = -F.logsigmoid(better - worse - self.margin) + self.centring * (better + worse) ** 2
        figures = {
            "accuracy": (better > worse).float(),
            "margin": better - worse,
            "reward_chosen": better,
            "reward_rejected": worse,
        }
        told = {name: float(torch.where(is_whole, value.detach(), 0).sum()) for name, value in figures.items()}
        return Tally(torch.where(is_whole, losses, 0).sum(), float(is_whole.sum()), told)


def rewards(pupil: Pupil, batch: Batch) -> Float[Tensor, " B"]:
    """What the head says at the last graded token of each row."""
    assert pupil.head is not None, "a reward needs a head"
    places = torch.arange(batch.tokens.shape[1], device=batch.tokens.device)
    last = torch.where(batch.weights != 0, places, 0).amax(1)
    x = pupil.network.trunk(batch.tokens)[torch.arange(batch.rows, device=last.device), last]
    return pupil.head(x.to(next(pupil.head.parameters()).dtype))[:, 0].float()


EXAMPLES: tuple[Example, ...] = (
    Preference(
        (Message(role="user", content="Explain rain in one sentence."),),
        (Message(role="assistant", content="Warm air rises, cools, and drops its water."),),
        (Message(role="assistant", content="Rain is rain."),),
    ),
    Preference(
        (Message(role="user", content="月亮自己发光吗？"),),
        (Message(role="assistant", content="不，它反射太阳光。"),),
        (Message(role="assistant", content="是的。"),),
    ),
)
