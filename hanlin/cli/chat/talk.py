"""A chat that is going on: a question in, the answer's events out; it remembers what was said and how long it took.

Knows nothing of terminals. Whatever happens in the middle of an answer, the conversation stays one that can go on:
what was said before a stop is kept, and a question that got no word is taken back.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from hanlin.core.errors import CapacityError, DataError, HanlinError, RefusedError
from hanlin.infer.event import Event
from hanlin.infer.sampling import Sampling
from hanlin.text.message import Message

DEFAULTS = Sampling(max_tokens=1024)
SMALLEST_ROOM = 16
"""Tokens that must be left for an answer to be worth beginning."""


@runtime_checkable
class Talker(Protocol):
    """What the chat needs of a model; `hanlin.Model` is one."""

    name: str
    tokenizer: Any

    @property
    def context(self) -> int | None:
        """Tokens its window holds; None if it does not say."""
        ...

    def conversation(self, messages: Sequence[Message], sampling: Sampling) -> list[int]:
        """Ids of a conversation, ready for the answer."""
        ...

    def chat(self, messages: Sequence[Message], **sampling: Any) -> Iterator[Event]:
        """Events of the answer to a conversation."""
        ...


@dataclass(frozen=True)
class Plan:
    """What goes to the model: the messages, how many old ones are left out, their tokens, and room for the answer."""

    messages: tuple[Message, ...]
    forgotten: int
    tokens: int
    most: int


@dataclass
class Talk:
    """One chat: it lives as long as the program."""

    model: Talker
    sampling: Sampling = DEFAULTS
    system: str = ""
    messages: list[Message] = field(default_factory=list)
    used: int = 0
    """Tokens of the conversation so far, as the template writes it."""
    answers: int = 0
    tokens: int = 0
    seconds: float = 0.0
    first_seconds: float = 0.0
    """Sum over the answers of the time to the first token."""

    @property
    def context(self) -> int:
        """Tokens the model's window holds; a model that does not say has no end in sight."""
        return self.model.context or 1 << 31

    def all_messages(self) -> tuple[Message, ...]:
        """The conversation with the system message first."""
        return (*self._head(), *self.messages)

    def _head(self) -> tuple[Message, ...]:
        return (Message(role="system", content=self.system),) if self.system else ()

    def measure(self) -> None:
        """Count the tokens of the conversation anew."""
        messages = self.all_messages()
        try:
            self.used = len(self.model.tokenizer.chat(messages, add_generation_prompt=False)) if messages else 0
        except HanlinError:  # some templates refuse a lone system message; the next question will tell
            self.used = 0

    def plan(self, question: str) -> Plan:
        """How the next question goes to the model.

        Raises:
            CapacityError: it does not fit into the window, and old messages may not be forgotten or none is left.
            DataError: the question has no characters, or some that are no text.
        """
        if not question.strip():
            raise DataError("the question is empty", "write something")
        if any("\ud800" <= character <= "\udfff" for character in question):
            raise DataError("the question is not UTF-8 text", "check the terminal's encoding")
        turns = [*self.messages, Message(role="user", content=question)]
        wanted = self.sampling.max_tokens
        forgotten, room = 0, min(SMALLEST_ROOM, wanted)
        while True:
            messages = (*self._head(), *turns[forgotten:])
            tokens = len(self.model.conversation(messages, self.sampling))
            if tokens + room <= self.context:
                return Plan(messages, forgotten, tokens, min(wanted, self.context - tokens))
            room = min(wanted, max(SMALLEST_ROOM, self.context // 4))  # forget enough for a good while, not each turn
            questions = [place for place, turn in enumerate(turns) if turn.role == "user" and place > forgotten]
            if self.sampling.overflow == "error" or not questions:
                break
            forgotten = questions[0]
        what = (
            f"the conversation takes {tokens:,} tokens; with an answer that is more than the window of {self.context:,}"
        )
        if len(turns) == 1 or forgotten:
            raise CapacityError(what, "ask a shorter question")
        raise CapacityError(what, "/reset begins anew; /params overflow=slide forgets the oldest messages instead")

    def answer(self, question: str, plan: Plan) -> Generator[Event, None, None]:
        """Events of the answer; afterwards, or when stopped, the conversation has question and answer.

        Raises:
            HanlinError: whatever the model refuses; the conversation is then as it was.
        """
        given = self.sampling.model_dump(exclude={"overflow", "n", "logprobs"}, exclude_none=True)
        start = time.perf_counter()
        pieces, count, first = [], 0, 0.0
        try:
            for event in self.model.chat(plan.messages, **{**given, "max_tokens": plan.most}):
                count += 1
                first = first or time.perf_counter() - start
                pieces.append(event.text)
                yield event
        finally:
            said = "".join(pieces)
            if said:
                question_and_answer = Message(role="user", content=question), Message(role="assistant", content=said)
                self.messages.extend(question_and_answer)
            if count:
                self.answers += 1
                self.tokens += count
                self.seconds += time.perf_counter() - start
                self.first_seconds += first
            self.measure()

    def undo(self) -> str:
        """Take the last question and its answer back; the question is returned.

        Raises:
            RefusedError: there is none.
        """
        places = [place for place, message in enumerate(self.messages) if message.role == "user"]
        if not places:
            raise RefusedError("there is no question to take back", "ask one first")
        question = self.messages[places[-1]].content
        del self.messages[places[-1] :]
        self.measure()
        return question


def speed(tokens: int, seconds: float, waited: float, answers: int = 1) -> float:
    """Tokens per second of writing: without the first token of each answer, whose time is that of reading."""
    return (tokens - answers) / (seconds - waited) if tokens > answers and seconds > waited else 0.0
