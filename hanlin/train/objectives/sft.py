"""Fine-tune on what the assistant says: chats, instruction pairs, prompts with their completions.

Chats are written by the model's own template (see `hanlin.train.graded`); a prompt and its completion are plain text.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from hanlin.core.errors import DataError, HanlinError
from hanlin.data.batch import Batch, Marked
from hanlin.data.example import Chat, Completion, Example
from hanlin.text.frame import ended
from hanlin.text.message import Message
from hanlin.text.tokenizer import Tokenizer
from hanlin.train import graded, objective
from hanlin.train.cross_entropy import summed
from hanlin.train.objective import Pupil, Tally


class Objective(objective.Objective):
    """Settings of `objective.use = "sft"`."""

    TAKES: ClassVar = (Chat, Completion)
    IS_PACKED: ClassVar = True
    IS_TEXT: ClassVar = True
    use: Literal["sft"] = "sft"
    """The file of this objective."""
    train_on: Literal["assistant", "all"] = "assistant"
    """assistant: what the assistant says, and the completions; all: every token, prompts too."""
    last_turn_only: bool = False
    """Of a chat, grade only what the assistant says after the last message of the user."""

    def encode(self, examples: Sequence[Example], tokenizer: Tokenizer, context: int) -> list[Marked | HanlinError]:
        """The tokens that `tokenizer.chat` gives, graded on the assistant's turns, end-of-turn token included."""
        chats = iter(graded.marked(tokenizer, [it for it in examples if isinstance(it, Chat)], self.last_turn_only))
        plain = iter(completed(tokenizer, [it for it in examples if isinstance(it, Completion)]))
        found = [next(chats) if isinstance(example, Chat) else next(plain) for example in examples]
        if self.train_on == "assistant":
            return found
        return [replace(entry, graded=None) if isinstance(entry, Marked) else entry for entry in found]

    def loss(self, pupil: Pupil, batch: Batch) -> Tally:
        """Mean -log p of each graded token given those before it."""
        x = pupil.network.trunk(batch.tokens, None, batch.documents)
        return Tally(summed(pupil.network, x, batch.targets, batch.weights), float(batch.weights.sum()))


def completed(tokenizer: Tokenizer, examples: Sequence[Completion]) -> list[Marked | HanlinError]:
    """Prompt and completion as one text, graded on each token that holds a character of the completion, and the end."""
    begin, end = ended(tokenizer)
    located = tokenizer.located([it.prompt + it.completion for it in examples], parse_special=False)
    found: list[Marked | HanlinError] = []
    for example, tokens in zip(examples, located, strict=True):
        if isinstance(tokens, HanlinError):
            found.append(tokens)
        elif not example.completion:
            found.append(DataError("the completion is empty", "give it some text, or leave the row out"))
        else:
            span = len(example.prompt), len(example.prompt) + len(example.completion)
            inside = graded.overlapping(tokenizer, tokens, [span])
            ids = np.array([*begin, *tokens.ids, *end], np.int32)
            found.append(Marked(ids, np.concatenate([[False] * len(begin), inside, [True] * len(end)]).astype(bool)))
    return found


EXAMPLES = (
    Chat((Message(role="user", content="What is two and two?"), Message(role="assistant", content="Four."))),
    Chat(
        (
            Message(role="system", content="Be brief."),
            Message(role="user", content="Hi"),
            Message(role="assistant", content="Hello!"),
            Message(role="user", content="再见"),
            Message(role="assistant", content="再见！"),
        )
    ),
    Completion("The capital of France is", " Paris."),
)
"""What it learns from; the contract of objectives trains on these."""
