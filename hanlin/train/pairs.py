"""Two ends of one conversation: messages in, marked tokens out; pairs of rows in, their log-probabilities out.

Shared by the objectives that compare answers (dpo, orpo, kto, reward).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from hanlin.core.errors import DataError, HanlinError, TokenizerError
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Example, Preference
from hanlin.model.decoder import Decoder
from hanlin.text.message import Message
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.cross_entropy import logprobs

MOST_PADDING = 1.25
"""Pairs go through the model in one pass while that reads at most so many times the positions of two passes."""


def ending(prompt: Sequence[Message], end: Sequence[Message], tokenizer: Tokenizer) -> Marked:
    """A conversation in the model's chat format, graded on all that its end adds to the opened answer.

    Raises:
        TokenizerError: there is no template, it refuses the messages, or the end rewrites the tokens of the prompt.
        DataError: the end adds nothing.
    """
    opened = tokenizer.chat(prompt, add_generation_prompt=True)
    ids = tokenizer.chat([*prompt, *end], add_generation_prompt=False)
    if ids[: len(opened)] != opened:
        same = next((at for at, (a, b) in enumerate(zip(opened, ids, strict=False)) if a != b), len(ids))
        raise TokenizerError(
            f"with its answer the prompt is other tokens than without, from token {same} of {len(opened)} on",
            "what is graded cannot be told: end the prompt with a user's message, or use a template that only appends",
        )
    if len(ids) == len(opened):
        raise DataError("the answer is empty", "leave the row out, or write an answer")
    graded = np.arange(len(ids)) >= len(opened)
    return Marked(np.array(ids, np.int32), graded)


def each(examples: Sequence[Example], encode: Callable[[Example], Marked]) -> list[Marked | HanlinError]:
    """`encode` of each example, or the error it raised."""
    found: list[Marked | HanlinError] = []
    for example in examples:
        try:
            found.append(encode(example))
        except HanlinError as error:
            found.append(error)
    return found


def preferences(examples: Sequence[Example], tokenizer: Tokenizer) -> list[Marked | HanlinError]:
    """Pairs as marked tokens: the better end, and in `rejected` the worse one."""

    def encode(example: Example) -> Marked:
        assert isinstance(example, Preference)
        chosen = ending(example.prompt, example.chosen, tokenizer)
        rejected = ending(example.prompt, example.rejected, tokenizer)
        if np.array_equal(chosen.ids, rejected.ids):
            raise DataError("the chosen and the rejected answer are the same", "leave the row out: it teaches nothing")
        return Marked(chosen.ids, chosen.graded, rejected=rejected)

    return each(examples, encode)


def trimmed(batch: Batch) -> Batch:
    """The batch without the columns after its last graded one, which nothing depends on."""
    columns = batch.weights.any(0).nonzero()
    end = int(columns[-1]) + 1 if len(columns) else 1
    return Batch(batch.tokens[:, :end], batch.targets[:, :end], batch.weights[:, :end])


def parted(batch: Batch) -> list[Batch]:
    """The better and the worse rows, above each other as one batch where that reads few positions more, else as two."""
    assert batch.rejected is not None, "rows without a worse end"
    ends = [trimmed(batch), trimmed(batch.rejected)]
    widths = [end.tokens.shape[1] for end in ends]
    wide = max(widths)
    if 2 * wide > MOST_PADDING * sum(widths):
        return ends
    padded = [[F.pad(x, (0, wide - x.shape[1])) for x in (end.tokens, end.targets, end.weights)] for end in ends]
    tokens, targets, weights = (torch.cat(parts) for parts in zip(*padded, strict=True))
    return [Batch(tokens, targets, weights)]


def sums(network: Decoder, parts: Sequence[Batch]) -> Float[Tensor, " N"]:
    """The log-probability of what is graded in each row, in nats, of all parts one after the other."""
    return torch.cat([logprobs(network, network.trunk(b.tokens), b.targets, b.weights) for b in parts])


def counts(parts: Sequence[Batch]) -> Float[Tensor, " N"]:
    """Graded tokens of each row, at least 1."""
    return torch.cat([part.weights.sum(1) for part in parts]).clamp(min=1)


def complete(parts: Sequence[Batch]) -> Bool[Tensor, " B"]:
    """Pairs of which something is graded at both ends."""
    has_any = torch.cat([part.weights.any(1) for part in parts])
    better, worse = has_any.chunk(2)
    return better & worse
