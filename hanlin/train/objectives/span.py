"""Write out what was cut from a text: T5's denoising in prefix form, for a decoder, with new holes at every step.

    Thank you <0> me to your party <1> week. <0> for inviting <1> last <end>

The text with a sentinel for each hole comes first; the model is graded on what follows. A row grows by two sentinels a
hole, a tenth of its length. Where the holes are: https://arxiv.org/abs/1910.10683, 3.1.4, as its published code draws.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int
from pydantic import Field

from hanlin.core.errors import ConfigError, HanlinError
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Example, Text
from hanlin.text.frame import ended
from hanlin.text.tokenizer import Tokenizer
from hanlin.train import objective
from hanlin.train.cross_entropy import summed
from hanlin.train.objective import Pupil, Tally
from hanlin.train.plain import framed

SENTINELS = ("<extra_id_{}>", "<|extra_{}|>", "<|reserved_special_token_{}|>", "<unused{}>", "[unused{}]")
"""How tokens that nothing else uses are spelled: T5, Qwen, Llama 3, Gemma, BERT."""


class Objective(objective.Objective):
    """Settings of `objective.use = "span"`."""

    TAKES: ClassVar = (Text,)
    IS_PACKED: ClassVar = True
    IS_TEXT: ClassVar = True
    SHIFTS: ClassVar = False
    use: Literal["span"] = "span"
    """The file of this objective."""
    density: float = Field(default=0.15, gt=0, lt=1)
    """Share of the tokens that are cut out."""
    mean_span: float = Field(default=3.0, ge=1)
    """Mean tokens of a hole."""
    sentinels: str = ""
    """How the tokens for holes are spelled, {} being their number: "<extra_id_{}>"; empty: any such known."""

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """Beginning mark (if any) and text.

        Raises:
            ConfigError: the tokenizer has no sentinels, or fewer than the holes in a row of `context` tokens.
        """
        self.sentinel_tokens(tokenizer, self.counts(max(context, 2))[1])
        begin, _ = ended(tokenizer)
        found = framed(tokenizer, [example.text for example in examples if isinstance(example, Text)], begin, [])
        return [ids if isinstance(ids, HanlinError) else Marked(ids) for ids in found]

    def counts(self, length: int) -> tuple[int, int]:
        """Tokens that are cut from a text of so many (at least 2), and in how many holes."""
        cut = min(max(round(length * self.density), 1), length - 1)
        return cut, min(max(round(cut / self.mean_span), 1), cut, length - cut)

    def sentinel_tokens(self, tokenizer: Tokenizer, need: int) -> list[int]:
        """The first `need` sentinels.

        Raises:
            ConfigError: there are fewer.
        """
        most = 0
        for spelled in (self.sentinels,) if self.sentinels else SENTINELS:
            found = [tokenizer.backend.token_to_id(spelled.replace("{}", str(number))) for number in range(need)]
            have = next((at for at, token in enumerate(found) if token is None), need)
            if have == need:
                return [token for token in found if token is not None]
            most = max(most, have)
        spelled = self.sentinels or SENTINELS[0]
        raise ConfigError(
            f"the tokenizer has {most} tokens to stand for holes, and a row has up to {need}",
            f"add the special tokens {spelled.replace('{}', '0')} to {spelled.replace('{}', str(need - 1))}, "
            "name others in objective.sentinels, or make data.context smaller",
        )

    def holes(self, length: int, draw: np.random.Generator) -> Bool[np.ndarray, " N"]:
        """Which of `length` tokens are cut out. A text never begins with a hole."""
        cut, spans = self.counts(length)
        sizes = np.stack([_split(length - cut, spans, draw), _split(cut, spans, draw)], 1).ravel()
        return np.repeat(np.arange(2 * spans) % 2 == 1, sizes)

    def corrupted(self, batch: Batch, tokenizer: Tokenizer, draw: np.random.Generator) -> Batch:
        """Each text with holes, then what was in them; graded on the latter."""
        _, end = ended(tokenizer)
        rows = [[self._written(ids, tokenizer, end, draw) for ids in texts] for texts in _texts(batch)]
        width = max(1, *(sum(len(text.tokens) for text in row) for row in rows))
        shape = (len(rows), width)
        tokens = np.full(shape, tokenizer.pad or 0, np.int64)
        targets, weights, documents = tokens.copy(), np.zeros(shape, np.float32), np.zeros(shape, np.int64)
        for at, row in enumerate(rows):
            place = 0
            for number, text in enumerate(row):
                there = slice(place, place := place + len(text.tokens))
                tokens[at, there], targets[at, there], weights[at, there] = text
                documents[at, there] = number
            documents[at, place:] = len(row)
        return Batch(
            torch.from_numpy(tokens).to(batch.tokens),
            torch.from_numpy(targets).to(batch.targets),
            torch.from_numpy(weights).to(batch.weights),
            torch.from_numpy(documents).to(batch.tokens) if any(len(row) > 1 for row in rows) else None,
        )

    def _written(
        self, ids: Int[np.ndarray, " N"], tokenizer: Tokenizer, end: list[int], draw: np.random.Generator
    ) -> "_Text":
        """One text as the decoder reads it; of a single token nothing can be cut."""
        if len(ids) < 2:
            return _Text(ids, ids, np.zeros(len(ids), np.float32))
        is_cut = self.holes(len(ids), draw)
        edges = np.flatnonzero(np.diff(is_cut.astype(np.int8), prepend=0) == 1)
        sentinels = np.array(self.sentinel_tokens(tokenizer, len(edges)))
        seen = np.insert(ids, edges, sentinels)[~np.insert(is_cut, edges, False)]
        sought = np.insert(ids, edges, sentinels)[np.insert(is_cut, edges, True)]
        whole = np.concatenate([seen, sought, end]).astype(np.int64)
        is_sought = np.arange(1, len(whole)) >= len(seen)
        return _Text(whole[:-1], whole[1:], is_sought.astype(np.float32))

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """Mean -log p of what was cut out, its sentinels and the end."""
        x = pupil.network.trunk(batch.tokens, None, batch.documents)
        return Tally(summed(pupil.network, x, batch.targets, batch.weights), float(batch.weights.sum()))


class _Text(NamedTuple):
    tokens: Int[np.ndarray, " N"]
    targets: Int[np.ndarray, " N"]
    weights: np.ndarray


def _split(total: int, parts: int, draw: np.random.Generator) -> Int[np.ndarray, " P"]:
    """`total` as a sum of positive numbers, every way equally likely."""
    cuts = np.sort(draw.choice(total - 1, parts - 1, replace=False)) + 1
    return np.diff(cuts, prepend=0, append=total)


def _texts(batch: Batch) -> Iterator[list[Int[np.ndarray, " N"]]]:
    """The texts of each row, padding left out."""
    tokens, is_real = batch.tokens.cpu().numpy(), batch.weights.cpu().numpy() > 0
    documents = np.zeros_like(tokens) if batch.documents is None else batch.documents.cpu().numpy()
    for ids, real, numbers in zip(tokens, is_real, documents, strict=True):
        edges = np.flatnonzero(np.diff(numbers[real])) + 1
        yield [text for text in np.split(ids[real], edges) if len(text)]


EXAMPLES = (
    Text("Thank you for inviting me to your party last week."),
    Text("床前明月光，疑是地上霜。举头望明月，低头思故乡。"),
    Text("def add(a, b):\n    return a + b\n"),
)
"""What it learns from; the contract of objectives trains on these."""
