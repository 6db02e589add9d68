"""Odds-ratio preference optimisation: learn the better answer and, in the same pass, tell it from the worse one.

    p    = exp(mean log p of the answer's tokens)
    odds = p / (1 - p)
    loss = mean -log p(better) - beta * log sigmoid(log odds(better) - log odds(worse))

There is no copy of the model as it was. Source: https://arxiv.org/abs/2403.07691. Held against TRL's ORPOTrainer, which
learns the prompt, too, and so does this one with `has_prompt`; its plain learning is a mean over tokens, ours over
pairs, so that passes and processes change nothing.
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
from hanlin.train.cross_entropy import logprobs
from hanlin.train.objective import Pupil, Tally


class Objective(objective.Objective):
    """Settings of `objective.use = "orpo"`."""

    TAKES: ClassVar = (Preference,)
    IS_EVEN: ClassVar = False
    use: Literal["orpo"] = "orpo"
    """The file of this objective."""
    beta: float = Field(default=0.1, ge=0)
    """Weight of the comparison beside plain learning of the better answer."""
    has_prompt: bool = False
    """Plain learning includes the prompt."""

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """Prompt and each end through the chat template; the ends are graded."""
        return pairs.preferences(examples, tokenizer)

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """The mean over pairs."""
        parts = pairs.parted(batch)
        is_whole = pairs.complete(parts)
        states = [pupil.network.trunk(part.tokens) for part in parts]
        summed = [logprobs(pupil.network, x, b.targets, b.weights) for x, b in zip(states, parts, strict=True)]
        better, worse = (torch.cat(summed) / pairs.counts(parts)).chunk(2)
        learned = better
        if self.has_prompt:
            pairs_count = len(is_whole)
            first, x = parts[0], states[0][:pairs_count]
            weights = _up_to_last(first.weights[:pairs_count])
            learned = logprobs(pupil.network, x, first.targets[:pairs_count], weights) / weights.sum(1).clamp(min=1)
        odds = (better - worse) - (log_rest(better) - log_rest(worse))
        losses = -learned - self.beta * F.logsigmoid(odds)
        figures = {"accuracy": (better > worse).float(), "margin": odds, "nll": -learned}
        told = {name: float(torch.where(is_whole, value.detach(), 0).sum()) for name, value in figures.items()}
        return Tally(torch.where(is_whole, losses, 0).sum(), float(is_whole.sum()), told)


def log_rest(logs: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """log(1 - p) from log p, exact near both ends; p is held below 1 - 1e-6, since the odds of 1 are infinite."""
    logs = logs.clamp(max=-1e-6)
    is_likely = logs > -0.6931472
    small = torch.where(is_likely, logs, -1.0)  # each branch sees only what it can differentiate
    large = torch.where(is_likely, -1.0, logs)
    return torch.where(is_likely, torch.log(-torch.expm1(small)), torch.log1p(-torch.exp(large)))


def _up_to_last(weights: Float[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """1 at every position up to the last graded one of its row."""
    return (weights.flip(1).cumsum(1).flip(1) > 0).to(weights.dtype)


EXAMPLES: tuple[Example, ...] = (
    Preference(
        (Message(role="user", content="Say hello to my grandmother."),),
        (Message(role="assistant", content="Good morning, and how are you today?"),),
        (Message(role="assistant", content="Yo."),),
    ),
    Preference(
        (Message(role="user", content="水在多少度结冰？"),),
        (Message(role="assistant", content="零摄氏度。"),),
        (Message(role="assistant", content="一百度。"),),
    ),
)
