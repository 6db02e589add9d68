"""Predict the next token of raw text: pre-training and continued pre-training."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from hanlin.core.errors import HanlinError
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Example, Text
from hanlin.text.frame import ended
from hanlin.text.tokenizer import Tokenizer
from hanlin.train import objective
from hanlin.train.cross_entropy import summed
from hanlin.train.objective import Pupil, Tally
from hanlin.train.plain import framed


class Objective(objective.Objective):
    """Settings of `objective.use = "next_token"`."""

    TAKES: ClassVar = (Text,)
    IS_PACKED: ClassVar = True
    IS_TEXT: ClassVar = True
    use: Literal["next_token"] = "next_token"
    """The file of this objective."""

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """Beginning mark (if this tokenizer writes one when it is served), text, end mark."""
        texts = [example.text for example in examples if isinstance(example, Text)]
        found = framed(tokenizer, texts, *ended(tokenizer))
        return [ids if isinstance(ids, HanlinError) else Marked(ids) for ids in found]

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """Mean -log p of each token given those before it."""
        x = pupil.network.trunk(batch.tokens, None, batch.documents)
        return Tally(summed(pupil.network, x, batch.targets, batch.weights), float(batch.weights.sum()))


EXAMPLES = (
    Text("To be, or not to be, that is the question."),
    Text("床前明月光，疑是地上霜。"),
    Text("def add(a, b):\n    return a + b\n"),
)
"""What it learns from; the contract of objectives trains on these."""
