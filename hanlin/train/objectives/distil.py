"""Learn from a bigger model: the pupil's next-token distribution is drawn to the teacher's, on texts or on answers.

    forward  KL(teacher || pupil): cover all that the teacher would say
    reverse  KL(pupil || teacher): say nothing that the teacher would not
    js       mixture * KL(teacher || m) + (1 - mixture) * KL(pupil || m)
             where m = mixture * teacher + (1 - mixture) * pupil

Sources: https://arxiv.org/abs/1503.02531, https://arxiv.org/abs/2306.13649 (js, and learning on the pupil's own text).
Held against TRL's GKDTrainer. As there, a temperature changes both distributions and does not multiply the loss.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from hanlin.core.errors import ConfigError, HanlinError
from hanlin.data.batch import Batch, Marked, collate
from hanlin.data.example import Chat, Completion, Example, Text
from hanlin.infer.sampling import Sampling
from hanlin.model.decoder import Decoder
from hanlin.text.message import Message
from hanlin.text.tokenizer import Tokenizer
from hanlin.train import objective
from hanlin.train.chunked import in_chunks
from hanlin.train.objective import Pupil, Tally
from hanlin.train.objectives import next_token, sft
from hanlin.train.rollouts import answers

SPARE_ROWS = 1024
"""Heads of one tokenizer may differ by so many rows, which round their size and stand for no token."""


class Objective(objective.Objective):
    """Settings of `objective.use = "distil"`."""

    TAKES: ClassVar = (Text, Chat, Completion)
    IS_PACKED: ClassVar = True
    IS_TEXT: ClassVar = True
    NEEDS: ClassVar = frozenset({"teacher"})
    use: Literal["distil"] = "distil"
    """The file of this objective."""
    teacher: str = ""
    """The model to learn from: a name in the store, a hub name, a folder or a GGUF file; of the same vocabulary."""
    kind: Literal["forward", "reverse", "js"] = "forward"
    """Which distance."""
    mixture: float = Field(default=0.5, gt=0, lt=1)
    """js: the teacher's share of the middle."""
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Above 1 the teacher's less likely tokens count more."""
    text_share: float = Field(default=0.0, ge=0, le=1)
    """Share of plain cross-entropy with the text in the loss; the rest is the distance from the teacher."""
    text: Literal["data", "teacher", "on_policy"] = "data"
    """Whose text is learnt on: the data's; or, after its prompts, what the teacher writes, or the pupil itself."""
    max_tokens: int = Field(default=128, ge=1)
    """Most tokens that teacher or pupil write after a prompt."""
    text_temperature: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """How wildly they write."""

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """Texts whole, completions without their prompt, of chats what the assistant says."""
        texts = [it for it in examples if isinstance(it, Text)]
        plain = iter(next_token.Objective().encode(texts, tokenizer, context))
        answered = iter(sft.Objective().encode([it for it in examples if not isinstance(it, Text)], tokenizer, context))
        return [next(plain) if isinstance(example, Text) else next(answered) for example in examples]

    def gathered(self, pupil: Pupil, batch: Batch, draw: np.random.Generator) -> Batch:
        """The batch, or its prompts with text by the teacher or the pupil.

        Raises:
            CapacityError: a prompt fills the context window.
        """
        if self.text == "data":
            return batch
        prompts = _prompts(batch)
        if not prompts:
            return batch
        writer = pupil.network if self.text == "on_policy" else self._teacher(pupil)
        sampling = Sampling(max_tokens=self.max_tokens, temperature=self.text_temperature)
        seeds = draw.integers(1 << 62, size=len(prompts)).tolist()
        written = answers(writer, pupil.tokenizer, prompts, seeds, sampling)
        rows = []
        for prompt, (answer,) in zip(prompts, written, strict=True):
            ids = np.array([*prompt, *answer.tokens], np.int32)
            rows.append([Marked(ids, np.arange(len(ids)) >= len(prompt))])
        made, device = collate(rows, shifts=True, pad=0), batch.tokens.device
        return Batch(made.tokens.to(device), made.targets.to(device), made.weights.to(device))

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """The mean over graded tokens.

        Raises:
            ConfigError: the teacher's vocabulary is another.
        """
        teacher, network = self._teacher(pupil), pupil.network
        columns = _columns(pupil, teacher)
        mask = batch.weights != 0
        with torch.no_grad():
            wise = teacher.trunk(batch.tokens, None, batch.documents)[mask]
        x = network.trunk(batch.tokens, None, batch.documents)[mask]

        def work(x: Tensor, wise: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
            own = network.head(x).float()
            with torch.no_grad():
                right = F.log_softmax(teacher.head(wise).float()[:, :columns] / self.temperature, -1)
            apart = self.distance(F.log_softmax(own[:, :columns] / self.temperature, -1), right)
            plain = F.cross_entropy(own, targets, reduction="none")
            return torch.stack((torch.dot(apart, weights), torch.dot(plain, weights)))

        weights = batch.weights[mask].float()
        apart, plain = torch.stack(in_chunks(work, columns, x, wise, batch.targets[mask], weights)).sum(0)
        total = self.text_share * plain + (1 - self.text_share) * apart
        return Tally(total, float(batch.weights.sum()), {"kl": float(apart.detach()), "nll": float(plain.detach())})

    def distance(self, own: Float[Tensor, "N V"], right: Float[Tensor, "N V"]) -> Float[Tensor, " N"]:
        """How far apart the pupil's and the teacher's log-probabilities are at each position, in nats."""
        if self.kind == "forward":
            return _kl(right, own)
        if self.kind == "reverse":
            return _kl(own, right)
        shares = torch.tensor([self.mixture, 1 - self.mixture], device=own.device).log()
        middle = torch.logaddexp(right + shares[0], own + shares[1])
        return self.mixture * _kl(right, middle) + (1 - self.mixture) * _kl(own, middle)

    def _teacher(self, pupil: Pupil) -> Decoder:
        if pupil.teacher is None:
            raise ConfigError("distil has no teacher", "name one: objective.teacher = …")
        return pupil.teacher


def _kl(p: Float[Tensor, "N V"], q: Float[Tensor, "N V"]) -> Float[Tensor, " N"]:
    """KL(p || q) from log-probabilities."""
    return (p.exp() * (p - q)).sum(-1)


def _columns(pupil: Pupil, teacher: Decoder) -> int:
    """Logits to compare: all, or those that stand for tokens where one head has spare rows.

    Raises:
        ConfigError: the heads are of different vocabularies.
    """
    own, its, tokens = pupil.network.config.vocabulary, teacher.config.vocabulary, pupil.tokenizer.vocab_size
    if own == its:
        return own
    if min(own, its) < tokens or max(own, its) - tokens > SPARE_ROWS:
        raise ConfigError(
            f"the teacher knows {its:,} tokens and the model that learns {own:,}: their vocabularies differ",
            "take a teacher of the same family; or let it write texts with `hanlin generate`, and train on those",
        )
    return tokens


def _prompts(batch: Batch) -> list[list[int]]:
    """Of each text in the rows what comes before its first graded token; texts without one are left out."""
    found = []
    documents = torch.zeros_like(batch.tokens) if batch.documents is None else batch.documents
    for tokens, weights, texts in zip(batch.tokens, batch.weights, documents, strict=True):
        for text in texts.unique_consecutive().tolist():
            own = texts == text
            graded = weights[own].nonzero()
            if len(graded):
                found.append(tokens[own][: int(graded[0]) + 1].tolist())
    return found


EXAMPLES: tuple[Example, ...] = (
    Text("The sea is calm tonight. The tide is full, the moon lies fair."),
    Chat((Message(role="user", content="天为什么是蓝的？"), Message(role="assistant", content="因为空气散射蓝光。"))),
    Completion("One, two, three,", " four, five, six."),
)
