"""What every objective is: settings that know how to mark tokens and how to grade a model on a batch."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from hanlin.core.errors import HanlinError
from hanlin.core.settings import Settings
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Example
from hanlin.model.decoder import Decoder
from hanlin.text.tokenizer import Tokenizer


class Tally(NamedTuple):
    """Sums over a batch: batches, processes and accumulated passes add up, then `total / count` is the loss."""

    total: Float[Tensor, ""]
    """Weighted losses, added; gradients flow from here."""
    count: float  # pyright: ignore[reportIncompatibleMethodOverride]
    """What they are divided by: weights of tokens, or rows, or pairs."""
    figures: Mapping[str, float] = {}
    """More to report, as sums that are divided by `count`: {"accuracy": 3.0} of 4 rows is 0.75."""


@dataclass(eq=False)
class Pupil:
    """The model that learns, and what an objective may need beside it."""

    network: Decoder
    tokenizer: Tokenizer
    head: nn.Module | None = None
    """For classes and numbers: from the last token's state to C figures; made if the objective has `outputs`."""
    reference: Decoder | None = None
    """The model as it was before training, frozen; made if the objective `NEEDS` one."""
    teacher: Decoder | None = None
    """A bigger model to learn from (distil)."""

    @contextmanager
    def before(self) -> Iterator[Decoder]:
        """The network as it was before training, without gradients: the frozen copy, or the adapters switched off."""
        from hanlin.model.adapters.switch import switched_off

        with torch.no_grad():
            if self.reference is not None:
                yield self.reference
            else:
                with switched_off(self.network):
                    yield self.network


class Objective(Settings):
    """The parent of each file's `Objective`; its fields are the keys of the run file's [objective]."""

    TAKES: ClassVar[tuple[type, ...]] = ()
    """The kinds of example it learns from."""
    IS_PACKED: ClassVar[bool] = False
    """Several examples may share a row, without attention between them."""
    SHIFTS: ClassVar[bool] = True
    """A position's target is the token after it; else the token at it, and `corrupted` or a head does the rest."""
    IS_TEXT: ClassVar[bool] = False
    """The loss is nats per token of a text: bits per byte mean something, and the model can show what it writes."""
    IS_EVEN: ClassVar[bool] = True
    """All rows go through the model in the same number of passes: its weights can be divided among processes."""
    NEEDS: ClassVar[frozenset[str]] = frozenset()
    """Of "reference", "teacher", and "two_way": a network that sees what comes after, too."""

    def fitted(self, examples: Iterable[Example]) -> "Objective":
        """These settings with what the training data alone can tell, such as the classes; called before `encode`.

        Raises:
            DataError: there is nothing to learn in these data.
        """
        return self

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """Each example as marked tokens, or what is wrong with it.

        At full length: cutting to the context is the stream's work, and the gate counts what that costs.
        """
        raise NotImplementedError

    @property
    def needs(self) -> frozenset[str]:
        """What of `NEEDS` it needs with these settings."""
        return self.NEEDS

    def concluded(self, figures: Mapping[str, float]) -> Mapping[str, float]:
        """Figures of a whole, from `Tally.figures` over `Tally.count`: what is no mean, such as F1, is made here."""
        return figures

    def outputs(self, classes: Sequence[str]) -> int:
        """Figures a head must give, for the classes found in the data; 0 for no head."""
        return 0

    def corrupted(self, batch: Batch, tokenizer: Tokenizer, draw: np.random.Generator) -> Batch:
        """The batch as it is trained on: masked, noised, with rollouts. `draw` depends on the step alone."""
        return batch

    def gathered(self, pupil: Pupil, batch: Batch, draw: np.random.Generator) -> Batch:
        """The batch with what only the model can add, such as its own answers (GRPO). Without gradients."""
        return batch

    def agreed(self, batch: Batch, added: Callable[[Mapping[str, float]], Mapping[str, float]]) -> Batch:
        """The rows of one process with what is told from those of all; `added` sums figures over the processes.

        All of them call it for every batch, also for one that has no rows here.
        """
        return batch

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """How wrong the model is on a batch."""
        raise NotImplementedError
