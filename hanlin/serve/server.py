"""What a running server holds: models, gates, state, counts. Routes get it from their request."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request

from hanlin.core.errors import RefusedError
from hanlin.serve.answering import ClientGone, Gate
from hanlin.serve.errors import BodyError, BusyError, FieldError
from hanlin.serve.keeper import Ticket
from hanlin.serve.keys import Key, Keys
from hanlin.serve.metrics import Metrics
from hanlin.serve.pool import Pool, Served
from hanlin.serve.settings import ServeSettings
from hanlin.serve.state import State


@dataclass
class Held:
    """A model held for a request; a stream takes the holding over."""

    served: Served
    name: str
    """What it is called in answers: the model, or the adapter on it."""
    adapter: str | None
    """The adapter that answers are computed with."""
    _stack: AsyncExitStack

    def without_adapter(self) -> Served:
        """The model, for what adapters do not answer.

        Raises:
            FieldError: the request names an adapter.
        """
        if self.adapter is not None:
            what = f"{self.adapter} is an adapter, and those answer chats and completions only"
            raise FieldError("model", what, f"ask {self.served.name}")
        return self.served

    def passed_on(self) -> Callable[[], Awaitable[None]]:
        """From now on who calls this lets go."""
        return self._stack.pop_all().aclose


@dataclass
class Server:
    """One server."""

    settings: ServeSettings
    pool: Pool
    state: State
    metrics: Metrics
    keys: Keys
    loop: asyncio.AbstractEventLoop | None = None
    """On which it runs."""
    began: float = field(default_factory=time.time)
    is_ready: bool = True
    """False once it is to end: nothing new is taken."""
    gates: dict[str, Gate] = field(default_factory=dict)
    works: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """Responses that are computed in the background, by id."""

    def gate(self, name: str) -> Gate:
        """Of a model."""
        return self.gates.setdefault(name, Gate(self.settings.streams + self.settings.queue))

    @asynccontextmanager
    async def taken(self, model: str | None, count: int = 1) -> AsyncIterator[Held]:
        """A model for a request that makes so many answers, and a place before it.

        Raises:
            UnknownModelError: the model is not served.
            BusyError: there is no place, or the server is ending.
            HanlinError: the model cannot be loaded.
        """
        if not self.is_ready:
            raise BusyError("this server is ending", "ask another one", seconds=5, status=503)
        name = self.pool.real_name(model)
        gate = self.gate(name)
        gate.enter(count)
        async with AsyncExitStack() as stack:
            stack.callback(gate.leave, count)
            served = await stack.enter_async_context(self.pool.lease(name))
            adapter = self.pool.adapter_of(model)
            yield Held(served, adapter or served.name, adapter, stack)

    def admit(self, key: Key | None) -> None:
        """Ask again for a page that is open: its key may be gone by now, or have used up its minute.

        Raises:
            RefusedError: the key is gone, or there are keys now and the page has none.
            BusyError: it has to wait.
        """
        self.keys.reload()
        if key is None and not self.keys.all:
            return
        if key is None or self.keys.lost(key):
            raise RefusedError("this page's key is none of ours any more", "open the page again, with a key")
        if wait := self.keys.wait_seconds(key):
            seconds = max(1, round(wait + 0.5))
            raise BusyError(f"this key has used up its minute; come back in {seconds} s", "wait", seconds)

    async def body(self, http: Request) -> bytes:
        """What a client sends, if it is JSON, not too much and not too slow.

        Raises:
            BodyError: it is not.
            ClientGone: it hung up.
        """
        kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise BodyError(415, f"a body of type {kind or 'none'}", "send Content-Type: application/json")
        limit, parts, size = self.settings.max_body_kb * 1024, [], 0
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                async for part in http.stream():
                    parts.append(part)
                    size += len(part)
                    if size > limit:
                        raise BodyError(413, f"a body of more than {limit:,} bytes", "send less at once")
        except TimeoutError:
            what = f"the body has not come in {self.settings.body_seconds:g} s"
            raise BodyError(408, what, "send it faster") from None
        except ClientDisconnect:
            raise ClientGone from None
        return b"".join(parts)

    def finished(self, http: Request, ticket: Ticket, tokens: int) -> None:
        """Count a request that came to its end."""
        self.metrics.finished(ticket, tokens)
        self._spend(http, len(ticket.request.prompt) + tokens)

    def spent(self, http: Request, tokens: int) -> None:
        """Count tokens that were read and not answered."""
        self.metrics.prompt_tokens.inc(tokens)
        self._spend(http, tokens)

    def _spend(self, http: Request, tokens: int) -> None:
        key = http.scope["state"].get("key")
        if key is not None:
            self.keys.spend(key, tokens)


def server_of(http: Request) -> Server:
    """The server that a request came to."""
    return http.app.state.server


def owner_of(http: Request) -> str:
    """Whose what it makes is: the name of its key, "" without keys."""
    return http.scope["state"].get("owner", "")
