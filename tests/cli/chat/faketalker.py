"""A model with the interface the chat needs, that answers in capitals; its tokenizer counts four characters a token."""

from collections.abc import Iterator, Sequence
from typing import Any

from hanlin.core.errors import TokenizerError
from hanlin.infer.event import Event
from hanlin.infer.sampling import Sampling
from hanlin.text.message import Message


class Counter:
    """The part of a tokenizer that the chat uses."""

    template = "there is one"

    def chat(self, messages: Sequence[Message], add_generation_prompt: bool = True) -> list[int]:
        if messages[-1].role == "system":
            raise TokenizerError("a lone system message", "")
        return [0] * sum(len(message.content) // 4 + 5 for message in messages)


class FakeTalker:
    """Says what was last said, in capitals, in pieces of three characters; remembers what it was asked."""

    name = "fake"
    tokenizer: Any = Counter()

    def __init__(self, context: int = 1000, interrupt_after: int | None = None) -> None:
        self.context = context
        self.asked: list[tuple[Message, ...]] = []
        self.given: list[dict[str, Any]] = []
        self.interrupt_after = interrupt_after

    def conversation(self, messages: Sequence[Message], sampling: Sampling) -> list[int]:
        return self.tokenizer.chat(messages)

    def chat(self, messages: Sequence[Message], **sampling: Any) -> Iterator[Event]:
        self.asked.append(tuple(messages))
        self.given.append(sampling)
        text = messages[-1].content.upper()
        pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
        for number, piece in enumerate(pieces[: sampling["max_tokens"]]):
            if number == self.interrupt_after:
                raise KeyboardInterrupt
            is_last = number == len(pieces) - 1
            is_full = number == sampling["max_tokens"] - 1
            yield Event(0, 1, piece, -1.0, (), "stop" if is_last else "length" if is_full else None)
