"""From a model and a request to what a client is told: admission, keep-alive, and the same pieces for streams and not.

A stream is the pieces as they come, an answer the same pieces put together, so the two cannot differ.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request as HttpRequest

from hanlin.infer.engine import Request
from hanlin.infer.event import Event, Place
from hanlin.serve.errors import BusyError
from hanlin.serve.keeper import Ticket
from hanlin.serve.pool import Served
from hanlin.text.tokenizer import Tokenizer

T = TypeVar("T")
KEEP_ALIVE_SECONDS = 10.0
"""Between comments on a stream on which nothing else comes."""
REMEMBERED = 64
"""Ends of requests from which the rate is measured."""


class ClientGone(Exception):  # noqa: N818
    """Whoever asked has left; there is nobody to tell."""


@dataclass
class Gate:
    """Lets requests in to a model while there is room, and says when to come back while there is none."""

    room: int
    """Requests that are computed or may wait."""
    inside: int = 0
    refused: int = 0
    _ends: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def enter(self, count: int = 1) -> None:
        """Take so many places.

        Raises:
            BusyError: there are none.
        """
        if self.inside and self.inside + count > self.room:
            self.refused += 1
            seconds = self.wait_seconds(count)
            what = f"{self.inside} requests are being answered or wait, and {self.room} may"
            raise BusyError(what, f"try again in {seconds} s", seconds)
        self.inside += count

    def leave(self, count: int = 1) -> None:
        """Give them back."""
        self.inside -= count
        self._ends.extend([time.monotonic()] * count)

    def wait_seconds(self, count: int = 1) -> int:
        """After how long so many places will be free, at the rate at which requests ended lately."""
        ends = [end for end in self._ends if time.monotonic() - end < 60]
        if len(ends) < 2 or ends[-1] <= ends[0]:
            return 5
        rate = (len(ends) - 1) / (time.monotonic() - ends[0])
        return min(120, max(1, math.ceil((self.inside + count - self.room) / rate)))


@dataclass(frozen=True)
class Beat:
    """Nothing has come for a while; what a stream says so that nobody hangs up."""

    read: int
    tokens: int
    seconds_left: float | None
    """Until the prompt is read, at the rate so far."""

    def comment(self) -> str:
        """A comment of server-sent events."""
        if self.read >= self.tokens:
            return ": still here\n\n"
        left = "" if self.seconds_left is None else f", about {self.seconds_left:.0f} s left"
        return f": reading the prompt: {self.read:,} of {self.tokens:,} tokens{left}\n\n"


async def beating(ticket: Ticket) -> AsyncIterator[Event | Place | Beat]:
    """What comes of a request, and a beat whenever nothing has for ten seconds."""
    try:
        while True:
            try:
                item = await ticket.next(KEEP_ALIVE_SECONDS)
            except TimeoutError:
                yield _beat(ticket)
                continue
            if item is None:
                return
            yield item
    finally:
        ticket.cancel()


def _beat(ticket: Ticket) -> Beat:
    tokens, own = len(ticket.request.prompt), ticket.read - ticket.found
    passed = time.monotonic() - ticket.arrived
    left = (tokens - ticket.read) * passed / own if own > 0 else None
    return Beat(ticket.read if ticket.begun is None else tokens, tokens, left)


async def unless_gone(http: HttpRequest, work: Awaitable[T]) -> T:
    """The result of some work, which is cancelled if the client hangs up.

    Raises:
        ClientGone: it did.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(http))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGone
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(http: HttpRequest) -> None:
    while not await http.is_disconnected():
        await asyncio.sleep(0.1)


async def submit(served: Served, requests: Sequence[Request]) -> list[Ticket]:
    """Tickets for some requests; none is left behind if one is refused."""
    tickets: list[Ticket] = []
    try:
        for request in requests:
            tickets.append(await served.keeper.submit(request))  # noqa: PERF401, those so far must be let go
    except BaseException:
        for ticket in tickets:
            ticket.cancel()
        raise
    return tickets


def token_json(tokenizer: Tokenizer, token: int, logprob: float) -> dict[str, Any]:
    """A token as chat log-probabilities tell it."""
    written = tokenizer.token_bytes(token)
    text = written.decode(errors="replace") if written else tokenizer.backend.id_to_token(token) or ""
    return {"token": text, "logprob": logprob, "bytes": list(written)}


def chat_logprob(tokenizer: Tokenizer, event: Event) -> dict[str, Any]:
    """An entry of `logprobs.content`."""
    top = [token_json(tokenizer, one.token, one.logprob) for one in event.top]
    return {**token_json(tokenizer, event.token, event.logprob), "top_logprobs": top}


def prompt_json(tokenizer: Tokenizer, first: int, places: Sequence[Place]) -> list[dict[str, Any] | None]:
    """What a model thinks of a prompt, in vLLM's shape: id → log-probability, rank, text; the true token first."""
    told: list[dict[str, Any] | None] = [None] * first
    for place in places:
        entry = {str(place.token): _ranked(tokenizer, place.token, place.logprob, place.rank)}
        for rank, one in enumerate(place.top, 1):
            entry.setdefault(str(one.token), _ranked(tokenizer, one.token, one.logprob, rank))
        told.append(entry)
    return told


def _ranked(tokenizer: Tokenizer, token: int, logprob: float, rank: int) -> dict[str, Any]:
    return {"logprob": logprob, "rank": rank, "decoded_token": token_json(tokenizer, token, 0.0)["token"]}
