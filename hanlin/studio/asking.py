"""A question to a model of the server's pool: turns or a text and settings in; where it stands and its events out.

To stop is to stop iterating: the place at the model is free within a step.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hanlin.core.settings import parse
from hanlin.infer.constraint import Constraint
from hanlin.infer.engine import Request
from hanlin.infer.event import Event, Place
from hanlin.infer.sampling import Sampling
from hanlin.serve.errors import TooLongError
from hanlin.serve.pool import Served
from hanlin.studio.visitor import Visitor
from hanlin.text.tokenizer import Tokenizer

LOOK_SECONDS = 0.3
"""Between looks at how much of a prompt has been read."""


@dataclass(frozen=True)
class Ask:
    """What is asked."""

    model: str
    prompt: Sequence[Mapping[str, Any]] | str
    """Turns of a conversation, or a text to go on with."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Sampling`; without max_tokens what the window leaves."""
    begun: tuple[int, ...] = ()
    """Tokens with which the answer begins."""
    constraint: Callable[[], Constraint] | None = None
    """What the answer must be."""


@dataclass(frozen=True)
class Taken:
    """The model has it."""

    prompt: int
    """Tokens."""
    context: int
    tokenizer: Tokenizer


@dataclass(frozen=True)
class Reading:
    """The prompt is being read."""

    read: int
    tokens: int


async def answers(visitor: Visitor, ask: Ask) -> AsyncIterator[Taken | Reading | Event]:
    """What comes.

    Raises:
        HanlinError: it cannot be asked, or fails.
    """
    server = visitor.server
    server.admit(visitor.key)
    async with server.taken(ask.model) as held:
        served = held.served
        constraint = await asyncio.to_thread(ask.constraint) if ask.constraint else None
        prompt = [*await asyncio.to_thread(_encoded, served, ask.prompt), *ask.begun]
        sampling = _sampling(ask.settings, len(prompt), served.context)
        seconds = server.settings.request_seconds
        request = Request(tuple(prompt), sampling, constraint, adapter=held.adapter, deadline_seconds=seconds)
        ticket = await served.keeper.submit(request)
        yield Taken(len(prompt), served.context, served.model.tokenizer)
        count = 0
        try:
            while True:
                try:
                    item = await ticket.next(LOOK_SECONDS)
                except TimeoutError:
                    if ticket.begun is None:
                        yield Reading(ticket.read, len(prompt))
                    continue
                if item is None:
                    break
                if isinstance(item, Place):
                    continue
                count += item.token >= 0
                yield item
        finally:
            ticket.cancel()
            server.finished(visitor.request, ticket, count)


def _encoded(served: Served, prompt: Sequence[Mapping[str, Any]] | str) -> list[int]:
    tokenizer = served.model.tokenizer
    return tokenizer.encode(prompt) if isinstance(prompt, str) else tokenizer.chat([dict(turn) for turn in prompt])


def _sampling(settings: Mapping[str, Any], prompt: int, context: int) -> Sampling:
    given = {name: value for name, value in settings.items() if value is not None}
    left = context - prompt
    if left < 1 and given.get("overflow") != "slide":
        what = f"{prompt:,} tokens of prompt fill the context window of {context:,}"
        raise TooLongError(what, "begin a new chat, shorten it, or let it forget: overflow = slide")
    if given.get("overflow") != "slide":
        given["max_tokens"] = min(int(given.get("max_tokens", left)), left)
    given.setdefault("max_tokens", max(left, 256))
    return parse(Sampling, given)
