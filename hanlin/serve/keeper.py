"""A thread that steps an engine: requests come in from the server's event loop, events go back to whoever waits.

An engine is not for several threads, so one thread has it and everything else speaks to that thread. What takes the
model and is no generation (embeddings) is done between two steps, a piece at a time.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

from hanlin.core.errors import HanlinError
from hanlin.infer.engine import Engine, Request
from hanlin.infer.event import Event, Place
from hanlin.infer.guide import guide
from hanlin.serve.errors import ClosedError, FailedError
from hanlin.serve.turns import Turns

log = logging.getLogger(__name__)
T = TypeVar("T")


@runtime_checkable
class Canceller(Protocol):
    """Whoever computes a request."""

    def cancel(self, ticket: "Ticket") -> None:
        """Compute no more of it."""


@dataclass(eq=False)
class Ticket:
    """A request that was taken, as its asker holds it: iterate to get what comes; leave early with `cancel`."""

    request: Request
    keeper: Canceller
    loop: asyncio.AbstractEventLoop
    arrived: float = field(default_factory=time.monotonic)
    begun: float | None = None
    """When its first token came, on the monotonic clock."""
    read: int = 0
    """Tokens of the prompt that have been read so far."""
    found: int = 0
    """Of these, those that had been read for others."""
    handle: int | None = None
    is_over: bool = False
    ended: int = 0
    """Answers that have had their last event, as the keeper counts them."""
    _left: int = 0
    _items: asyncio.Queue[Event | Place | Exception] = field(default_factory=asyncio.Queue)

    async def next(self, seconds: float | None = None) -> Event | Place | None:
        """The next event or place of the prompt; None once all has come.

        Raises:
            TimeoutError: nothing came for so long; ask again.
            HanlinError: what went wrong with this request.
            FailedError, ClosedError: it cannot go on, through no fault of its own.
        """
        if self.is_over and self._items.empty():
            return None
        item = await asyncio.wait_for(self._items.get(), seconds)
        if isinstance(item, Exception):
            self.is_over = True
            raise item
        if isinstance(item, Event) and item.finish is not None:
            self._left -= 1
            self.is_over = not self._left
        return item

    async def __aiter__(self) -> AsyncIterator[Event | Place]:
        try:
            while (item := await self.next()) is not None:
                yield item
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Nothing more is computed of it from the next step on; one that is over is fine."""
        if not self.is_over:
            self.is_over = True
            self.keeper.cancel(self)


class Keeper:
    """One engine and its thread. Everything public may be called from any thread, coroutines from their own loop."""

    def __init__(self, engine: Engine | Turns, name: str = "model") -> None:
        self.engine = engine
        self._inbox: deque[Callable[[], None]] = deque()
        self._bell = threading.Condition()
        self._tickets: dict[int, Ticket] = {}
        self._works: deque[tuple[Iterator[Any], Callable[[Any, Exception | None, bool], None]]] = deque()
        self._is_closed = False
        self.tokens = 0
        """Tokens of answers so far."""
        self.step_seconds = 0.0
        """Of steps so far: how long it has been busy."""
        self._thread = threading.Thread(target=self._live, name=f"keeper of {name}", daemon=True)
        self._thread.start()

    @property
    def load(self) -> int:
        """Requests taken and not over."""
        return len(self._tickets) + len(self._works)

    async def submit(self, request: Request) -> Ticket:
        """Have a request taken; a constraint is read beside the steps, in a thread of its own.

        Raises:
            HanlinError: as `Engine.submit`.
            ClosedError: the model is being let go.
        """
        guided = None
        if request.constraint is not None:
            args = (request.constraint, self.engine.tokenizer, self.engine.drawable)
            guided = await asyncio.to_thread(guide, *args)
        loop = asyncio.get_running_loop()
        ticket = Ticket(request, self, loop, _left=request.sampling.n)
        taken: asyncio.Future[None] = loop.create_future()

        def take() -> None:
            try:
                handle = self.engine.submit(request, guided)
            except HanlinError as error:
                tell(taken, error)
                return
            ticket.handle = handle
            if ticket.is_over:
                self.engine.cancel(handle)
            else:
                self._tickets[handle] = ticket
            tell(taken, None)

        def tell(future: asyncio.Future[None], error: Exception | None) -> None:
            loop.call_soon_threadsafe(_settle, future, None, error)

        self._ask(take)
        try:
            await taken
        except asyncio.CancelledError:
            ticket.cancel()
            raise
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """As `Ticket.cancel`."""

        def drop() -> None:
            if ticket.handle is not None:
                self.engine.cancel(ticket.handle)
                self._tickets.pop(ticket.handle, None)

        try:
            self._ask(drop)
        except ClosedError:
            return

    async def do(self, what: Callable[[], T]) -> T:
        """What a call gives, made between two steps.

        Raises:
            HanlinError: what the call raises.
            ClosedError: the model is being let go of.
        """

        def once() -> Iterator[T]:
            yield what()

        (made,) = [piece async for piece in self.work(once())]
        return made

    async def work(self, pieces: Iterator[Any]) -> AsyncIterator[Any]:
        """What an iterator yields, each piece computed between two steps of the engine.

        Raises:
            HanlinError: what the iterator raises.
            ClosedError: the model is being let go.
        """
        loop, made = asyncio.get_running_loop(), asyncio.Queue[tuple[Any, Exception | None, bool]]()

        def tell(piece: Any, error: Exception | None, is_last: bool) -> None:
            loop.call_soon_threadsafe(made.put_nowait, (piece, error, is_last))

        entry = (pieces, tell)
        self._ask(lambda: self._works.append(entry))
        try:
            while True:
                piece, error, is_last = await made.get()
                if error is not None:
                    raise error
                if is_last:
                    return
                yield piece
        finally:
            self._drop(entry)

    def _drop(self, entry: Any) -> None:
        try:
            self._ask(lambda: self._works.remove(entry) if entry in self._works else None)
        except ClosedError:
            return

    def close(self, seconds: float = 10.0) -> None:
        """Let go of the engine: requests that are not over end with `ClosedError`."""
        with self._bell:
            self._is_closed = True
            self._bell.notify()
        self._thread.join(seconds)

    def _ask(self, what: Callable[[], None]) -> None:
        with self._bell:
            if self._is_closed:
                raise ClosedError
            self._inbox.append(what)
            self._bell.notify()

    def _live(self) -> None:
        while True:
            with self._bell:
                while not self._inbox and not self._is_closed and self.engine.is_idle and not self._works:
                    self._bell.wait()
                if self._is_closed:
                    break
                asked = list(self._inbox)
                self._inbox.clear()
            for one in asked:
                one()
            self._work_on()
            if not self.engine.is_idle:
                self._step()
        for ticket in self._tickets.values():
            _deliver(ticket, [ClosedError()])
        for _, tell in self._works:
            tell(None, ClosedError(), True)

    def _step(self) -> None:
        began = time.monotonic()
        try:
            emitted = self.engine.step()
        except Exception:
            log.exception("a step failed; every request in it ends")
            for handle, ticket in self._tickets.items():
                self.engine.cancel(handle)
                _deliver(ticket, [FailedError()])
            self._tickets.clear()
            return
        self.step_seconds += time.monotonic() - began
        mine: dict[int, list[Event | Place | Exception]] = {}
        for one in emitted:
            items = mine.setdefault(one.handle, [])
            items += one.places
            if one.error is not None:
                items.append(one.error)
            if one.event is not None:
                items.append(one.event)
                self.tokens += 1
        for handle, items in mine.items():
            self._hand(handle, items)
        for handle, read, found in self.engine.reading():
            if (ticket := self._tickets.get(handle)) is not None:
                ticket.read, ticket.found = read, max(found, ticket.found)

    def _hand(self, handle: int, items: list[Event | Place | Exception]) -> None:
        ticket = self._tickets.get(handle)
        if ticket is None:
            return
        if ticket.begun is None and any(isinstance(item, Event) for item in items):
            ticket.begun, ticket.read = time.monotonic(), len(ticket.request.prompt)
        if any(isinstance(item, Exception) for item in items) or self._is_last(ticket, items):
            del self._tickets[handle]
        _deliver(ticket, items)

    def _is_last(self, ticket: Ticket, items: list[Event | Place | Exception]) -> bool:
        ticket.ended += sum(isinstance(item, Event) and item.finish is not None for item in items)
        return ticket.ended == ticket.request.sampling.n

    def _work_on(self) -> None:
        if not self._works:
            return
        pieces, tell = self._works.popleft()
        try:
            piece = next(pieces)
        except StopIteration:
            tell(None, None, True)
        except HanlinError as error:
            tell(None, error, True)
        except Exception:
            log.exception("a piece of work failed")
            tell(None, FailedError(), True)
        else:
            tell(piece, None, False)
            self._works.append((pieces, tell))


def _deliver(ticket: Ticket, items: list[Event | Place | Exception]) -> None:
    def put() -> None:
        for item in items:
            ticket._items.put_nowait(item)

    try:
        ticket.loop.call_soon_threadsafe(put)
    except RuntimeError:  # the asker's loop has ended, and nobody waits
        return


def _settle(future: asyncio.Future[None], value: None, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
