"""Judging a text as a whole by its last token: labelled texts in, marked tokens and the head's figures out."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hanlin.core.errors import HanlinError
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Labelled
from hanlin.text.tokenizer import Tokenizer
from hanlin.text.whole import Whole, whole
from hanlin.train.objective import Pupil


def framed_to(
    tokenizer: Tokenizer,
    examples: Sequence[Labelled],
    numbers: Callable[[Labelled], tuple[float, ...]],
    *,
    context: int,
    keep: Literal["start", "end"],
    between: str,
) -> list[Marked | HanlinError]:
    """Each text or pair within its marks, at most `context` tokens, with its labels; `facts["cut"]` if it lost any.

    Args:
        numbers: the labels of an example as a batch holds them; raises what is wrong with them.
        keep: the part of a text that stays; of a pair the longer text is cut first.
        between: text between the two of a pair.
    """
    rows = [(example.text, example.pair) for example in examples]
    found = whole(tokenizer, rows, context=context, keep=keep, between=between)

    def marked(example: Labelled, one: Whole | HanlinError) -> Marked | HanlinError:
        if isinstance(one, HanlinError):
            return one
        try:
            labels = numbers(example)
        except HanlinError as error:
            return error
        return Marked(np.array(one.ids, np.int32), labels=labels, facts={"cut": one.lost} if one.lost else None)

    return [marked(*row) for row in zip(examples, found, strict=True)]


def judged(pupil: Pupil, batch: Batch) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B N"]]:
    """The head's figures for the last token of each row, in float32 or finer, and the labels; empty rows left out."""
    assert pupil.head is not None and batch.labels is not None
    sees_padding = not pupil.network.is_causal
    x = pupil.network.trunk(batch.tokens, None, batch.documents if sees_padding else None)
    is_real = batch.weights > 0
    places = torch.arange(x.shape[1], device=x.device)
    last = torch.where(is_real, places, -1).amax(1)
    rows = (last >= 0).nonzero()[:, 0]
    fine = next(pupil.head.parameters()).dtype  # finer than the trunk's where that is in bfloat16
    figures = pupil.head(x[rows, last[rows]].to(fine))
    figures = figures if figures.dtype == torch.float64 else figures.float()
    return figures, batch.labels[rows].to(figures)
