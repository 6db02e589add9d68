"""Answers that are wanted or not, one at a time: make the wanted likelier than usual and the others less likely.

    reward = beta * (log p(answer) - log p before training)
    usual  = beta * how far the model has moved on answers that belong to other prompts, at least 0
    loss   = weight * (1 - sigmoid(reward - usual))    of a wanted answer
             weight * (1 - sigmoid(usual - reward))    of an unwanted one

Each prompt of the batch is given the answer of the row before it to measure what is usual, as TRL's KTOTrainer does;
of a batch that several processes share, over all its rows.
Source: https://arxiv.org/abs/2402.01306
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from hanlin.core.errors import ConfigError, DataError, HanlinError
from hanlin.data.batch import Batch, Marked, collate
from hanlin.data.example import Example, Rated
from hanlin.text.message import Message
from hanlin.text.tokenizer import Tokenizer
from hanlin.train import objective, pairs
from hanlin.train.objective import Pupil, Tally

ROWS = 8
"""Mismatched rows per pass: they need no gradients, but memory."""


class Objective(objective.Objective):
    """Settings of `objective.use = "kto"`."""

    TAKES: ClassVar = (Rated,)
    IS_EVEN: ClassVar = False
    NEEDS: ClassVar = frozenset({"reference"})
    use: Literal["kto"] = "kto"
    """The file of this objective."""
    beta: float = Field(default=0.1, gt=0)
    """How dearly the model pays for leaving its beginnings."""
    good_weight: float = Field(default=1.0, ge=0)
    """Weight of wanted answers; raise it where they are few: weight × number of the two kinds should be about equal."""
    bad_weight: float = Field(default=1.0, ge=0)
    """Weight of unwanted answers."""

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """All but the last message through the chat template as prompt; the last one is graded. The label is 1 or 0."""

        def one(example: Example) -> Marked:
            assert isinstance(example, Rated)
            *prompt, last = example.messages or (None,)
            if not prompt or not isinstance(last, Message) or last.role != "assistant":
                raise DataError(
                    f"the conversation of {len(example.messages)} messages has no prompt and answer",
                    "end it with a message of the assistant that answers one of the user",
                )
            marked = pairs.ending([turn for turn in prompt if turn], [last], tokenizer)
            return Marked(marked.ids, marked.graded, (float(example.is_good),))

        return pairs.each(examples, one)

    def corrupted(self, batch: Batch, tokenizer: Tokenizer, draw: np.random.Generator) -> Batch:
        """The batch, and in `rejected` each prompt with the answer of the row before."""
        return replace(batch, rejected=mismatched(batch))

    def gathered(self, pupil: Pupil, batch: Batch, draw: np.random.Generator) -> Batch:
        """The batch with a second label, the same for all rows: how far the model has moved on mismatched answers.

        In nats, below 0 where it moved away; NaN for a batch of one row, which has no other prompt to compare with.
        """
        assert batch.labels is not None, "rows without a label"
        moved = math.nan if batch.rejected is None else self._moved(pupil, batch.rejected)
        return _told(batch, moved)

    def agreed(self, batch: Batch, added: Callable[[Mapping[str, float]], Mapping[str, float]]) -> Batch:
        """The batch with the mean over the rows of all processes as its second label."""
        assert batch.labels is not None, "rows without a label"
        own = float(batch.labels[:, 1].sum()) if batch.rows else 0.0
        sums = added({"moved": own, "rows": batch.rows})
        return _told(batch, sums["moved"] / sums["rows"]) if batch.rows else batch

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """The mean over rows.

        Raises:
            ConfigError: a training batch of one row.
        """
        assert batch.labels is not None and batch.labels.shape[1] == 2, "corrupted and gathered come first"
        moved = float(batch.labels[0, 1])
        if math.isnan(moved):
            if pupil.network.training:
                raise ConfigError(
                    "kto compares the rows of a batch, and this one has 1", "set train.batch to 8 or more"
                )
            moved = 0.0
        usual = max(0.0, moved)
        own = [pairs.trimmed(batch)]
        now = pairs.sums(pupil.network, own)
        with pupil.before() as network:
            then = pairs.sums(network, own)
        is_good, is_graded = batch.labels[:, 0] > 0.5, batch.weights.any(1)
        rewards = self.beta * (now - then)
        signed = torch.where(is_good, rewards - self.beta * usual, self.beta * usual - rewards)
        weights = torch.where(is_good, self.good_weight, self.bad_weight)
        losses = torch.where(is_graded, weights * (1 - torch.sigmoid(signed)), 0)
        told, count = torch.where(is_graded, signed.detach(), 0), float(is_graded.sum())
        figures = {"accuracy": float((told > 0).sum()), "margin": float(told.sum()), "kl": usual * count}
        return Tally(losses.sum(), count, figures)

    def _moved(self, pupil: Pupil, others: Batch) -> float:
        """Mean of log p - log p before training over mismatched answers, in nats."""
        others = pairs.trimmed(others)
        seen = slice(0, pupil.network.config.context)
        parts = [
            Batch(others.tokens[rows, seen], others.targets[rows, seen], others.weights[rows, seen])
            for rows in (slice(begin, begin + ROWS) for begin in range(0, others.rows, ROWS))
        ]
        with torch.no_grad():
            now = pairs.sums(pupil.network, parts)
        with pupil.before() as network:
            then = pairs.sums(network, parts)
        return float((now - then).mean())


def _told(batch: Batch, moved: float) -> Batch:
    """The batch with `moved` as the second label of its rows, and without mismatched answers."""
    assert batch.labels is not None
    labels = torch.cat((batch.labels[:, :1], torch.full_like(batch.labels[:, :1], moved)), 1)
    return replace(batch, labels=labels, rejected=None)


def mismatched(batch: Batch) -> Batch | None:
    """Each row's prompt with the answer of the row before it; None for a batch of one row, which has no other."""
    if batch.rows < 2:
        return None
    rows = []
    for tokens, targets, weights in zip(batch.tokens, batch.targets, batch.weights, strict=True):
        graded = weights.nonzero()[:, 0]
        first, end = (int(graded[0]), int(graded[-1]) + 1) if len(graded) else (len(tokens) - 1, len(tokens) - 1)
        rows.append((tokens[: first + 1].tolist(), targets[first:end].tolist()))
    made = []
    for (prompt, _), (_, answer) in zip(rows, rows[-1:] + rows[:-1], strict=True):
        ids = np.array(prompt + answer, np.int32)
        made.append([Marked(ids, np.arange(len(ids)) >= len(prompt))])
    moved = collate(made, shifts=True, pad=0)
    device = batch.tokens.device
    return Batch(moved.tokens.to(device), moved.targets.to(device), moved.weights.to(device))


EXAMPLES: tuple[Example, ...] = (
    Rated((Message(role="user", content="Which is bigger, 9 or 7?"), Message(role="assistant", content="9.")), True),
    Rated((Message(role="user", content="Which is bigger, 3 or 8?"), Message(role="assistant", content="3!")), False),
    Rated((Message(role="user", content="谢谢你"), Message(role="assistant", content="不客气。")), True),
    Rated((Message(role="user", content="你好"), Message(role="assistant", content="走开。")), False),
)
