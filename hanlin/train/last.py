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
from hanlin.train.objective import Pupil
from hanlin.train.plain import ended


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
    begin, end = ended(tokenizer)
    texts = [example.text if example.pair is None else example.text + between for example in examples]
    first = tokenizer.encode_many(texts, add_special=False, parse_special=False)
    second = tokenizer.encode_many([example.pair or "" for example in examples], add_special=False, parse_special=False)
    room = max(context - len(begin) - len(end), 1)

    def marked(example: Labelled, one: list[int] | HanlinError, other: list[int] | HanlinError) -> Marked | HanlinError:
        for ids in (one, other):
            if isinstance(ids, HanlinError):
                return ids
        assert isinstance(one, list) and isinstance(other, list)
        try:
            labels = numbers(example)
        except HanlinError as error:
            return error
        sizes = _sizes(len(one), len(other), room)
        both = zip((one, other), sizes, strict=True)
        parts = [ids[:size] if keep == "start" else ids[len(ids) - size :] for ids, size in both]
        lost = len(one) + len(other) - sum(sizes)
        ids = np.array([*begin, *parts[0], *parts[1], *end], np.int32)
        return Marked(ids, labels=labels, facts={"cut": lost} if lost else None)

    return [marked(*row) for row in zip(examples, first, second, strict=True)]


def _sizes(first: int, second: int, room: int) -> tuple[int, int]:
    """How much of two texts fits into the room, the longer one being cut first."""
    if first + second <= room:
        return first, second
    short = min(first, second, room // 2)
    return (short, room - short) if first < second else (room - short, short)


def judged(pupil: Pupil, batch: Batch) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B N"]]:
    """The head's figures for the last token of each row, in float32 or finer, and the labels; empty rows left out."""
    assert pupil.head is not None and batch.labels is not None
    sees_padding = not pupil.network.is_causal
    x = pupil.network.trunk(batch.tokens, None, batch.documents if sees_padding else None)
    is_real = batch.weights > 0
    places = torch.arange(x.shape[1], device=x.device)
    last = torch.where(is_real, places, -1).amax(1)
    rows = (last >= 0).nonzero()[:, 0]
    figures = pupil.head(x[rows, last[rows]])
    figures = figures if figures.dtype == torch.float64 else figures.float()
    return figures, batch.labels[rows].to(figures)
