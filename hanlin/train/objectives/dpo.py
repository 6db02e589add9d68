"""Direct preference optimisation: make the better answer likelier than the worse one, measured against the start.

    logratio = log p(answer) - log p before training(answer)
    delta    = logratio of the better - logratio of the worse
    loss     = -log sigmoid(beta * delta)

Sources: https://arxiv.org/abs/2305.18290 (sigmoid), https://arxiv.org/abs/2310.12036 (ipo),
https://arxiv.org/abs/2305.10425 (hinge), https://arxiv.org/abs/2403.00409 (robust),
https://arxiv.org/abs/2404.19733 (the share of plain learning). Held against TRL's DPOTrainer.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from hanlin.core.errors import HanlinError
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Example, Preference
from hanlin.text.message import Message
from hanlin.text.tokenizer import Tokenizer
from hanlin.train import objective, pairs
from hanlin.train.objective import Pupil, Tally


class Objective(objective.Objective):
    """Settings of `objective.use = "dpo"`."""

    TAKES: ClassVar = (Preference,)
    IS_EVEN: ClassVar = False
    NEEDS: ClassVar = frozenset({"reference"})
    use: Literal["dpo"] = "dpo"
    """The file of this objective."""
    kind: Literal["sigmoid", "ipo", "hinge", "robust"] = "sigmoid"
    """How a difference becomes a loss. ipo compares means per token and aims at a fixed difference; robust expects
    a share of the pairs, `label_smoothing`, to be the wrong way round."""
    beta: float = Field(default=0.1, gt=0)
    """How dearly the model pays for leaving its beginnings: small is free, large is close."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Share of pairs believed to be the wrong way round; for sigmoid and robust."""
    sft_share: float = Field(default=0.0, ge=0)
    """Weight of plain learning of the better answer, mean -log p per token, beside the comparison."""
    is_length_normalised: bool = False
    """Compare means per token instead of sums, so that long answers weigh no more than short ones."""

    @model_validator(mode="after")
    def _fits(self) -> "Objective":
        if self.label_smoothing and self.kind in ("ipo", "hinge"):
            raise ValueError(f"label_smoothing means nothing for the kind {self.kind}")
        return self

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """Prompt and each end through the chat template; the ends are graded."""
        return pairs.preferences(examples, tokenizer)

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """The mean over pairs."""
        parts = pairs.parted(batch)
        now = pairs.sums(pupil.network, parts)
        with pupil.before() as network:
            then = pairs.sums(network, parts)
        lengths, is_whole = pairs.counts(parts), pairs.complete(parts)
        ratios = now - then
        scores = ratios / lengths if self.is_length_normalised or self.kind == "ipo" else ratios
        better, worse = scores.chunk(2)
        losses = self.compared(better - worse)
        if self.sft_share:
            losses = losses - self.sft_share * (now / lengths).chunk(2)[0]
        chosen, rejected = (self.beta * ratios.detach()[: len(is_whole)], self.beta * ratios.detach()[len(is_whole) :])
        figures = {
            "accuracy": (chosen > rejected).float(),
            "margin": chosen - rejected,
            "reward_chosen": chosen,
            "reward_rejected": rejected,
        }
        told = {name: float(torch.where(is_whole, value, 0).sum()) for name, value in figures.items()}
        return Tally(torch.where(is_whole, losses, 0).sum(), float(is_whole.sum()), told)

    def compared(self, delta: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        """The loss of each pair from how much more the better answer gained than the worse one, in nats."""
        scaled, wrong = self.beta * delta, self.label_smoothing
        if self.kind == "ipo":
            return (delta - 1 / (2 * self.beta)) ** 2
        if self.kind == "hinge":
            return torch.relu(1 - scaled)
        right_way, wrong_way = -F.logsigmoid(scaled), -F.logsigmoid(-scaled)
        if self.kind == "robust":
            return ((1 - wrong) * right_way - wrong * wrong_way) / (1 - 2 * wrong)
        return (1 - wrong) * right_way + wrong * wrong_way


def _turn(role: Literal["user", "assistant"], content: str) -> tuple[Message, ...]:
    return (Message(role=role, content=content),)


EXAMPLES: tuple[Example, ...] = (
    Preference(
        _turn("user", "How do I open this jar?"),
        _turn("assistant", "Warm the lid under hot water, then turn."),
        _turn("assistant", "No idea."),
    ),
    Preference(_turn("user", "二加三是多少？"), _turn("assistant", "五。"), _turn("assistant", "不告诉你，自己算。")),
    Preference(
        (Message(role="system", content="Be brief."), Message(role="user", content="Capital of France?")),
        _turn("assistant", "Paris."),
        _turn("assistant", "Well, that is a long story which begins with the Romans."),
    ),
)
