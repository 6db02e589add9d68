"""A vLLM server as the rest of this one sees a model: requests in, tickets out, on the server's event loop.

Who leaves closes the connection, by which vLLM knows to stop. An answer is over when vLLM says [DONE]; a stream that
ends before has failed.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

import httpx

from hanlin.core.errors import HanlinError, RefusedError
from hanlin.infer.engine import Request
from hanlin.infer.event import Event, Finish, Place
from hanlin.serve.elsewhere import wire
from hanlin.serve.errors import BusyError, ClosedError, FieldError, TooLongError, UnknownModelError, UpstreamError
from hanlin.serve.keeper import Ticket
from hanlin.text.tokenizer import Tokenizer

T = TypeVar("T")
KEY = "VLLM_API_KEY"
"""The environment variable of vLLM's own key, theirs as ours."""
CONNECT_SECONDS = 10.0
FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length"}


def headers() -> dict[str, str]:
    """What lets us in."""
    key = os.environ.get(KEY)
    return {"Authorization": f"Bearer {key}"} if key else {}


class Remote:
    """In the place of a `Keeper`, for a model that vLLM computes."""

    engine = None
    step_seconds = 0.0
    """Of computing here: none."""

    def __init__(self, url: str, model: str, tokenizer: Tokenizer) -> None:
        """`model` is what vLLM calls it."""
        self.url, self.model, self.tokenizer = url, model, tokenizer
        self.tokens = 0
        self._tasks: dict[Ticket, asyncio.Task[None]] = {}
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    @property
    def load(self) -> int:
        """Requests taken and not over."""
        return len(self._tasks)

    async def submit(self, request: Request) -> Ticket:
        """Have vLLM take a request; where it streams, what it refuses is known at once.

        Raises:
            HanlinError: vLLM refuses it, or cannot be reached.
            ClosedError: the model is being let go.
        """
        if self._is_closed:
            raise ClosedError
        body = wire.body(request, self.model, self.tokenizer)
        loop = self._loop = asyncio.get_running_loop()
        ticket = Ticket(request, self, loop, read=len(request.prompt), _left=request.sampling.n)
        taken: asyncio.Future[None] = loop.create_future()
        self._tasks[ticket] = task = loop.create_task(self._answer(ticket, body, taken))
        task.add_done_callback(lambda _: self._tasks.pop(ticket, None))
        try:
            await taken
        except asyncio.CancelledError:
            ticket.cancel()
            raise
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """As `Ticket.cancel`: the connection is closed."""
        if (task := self._tasks.get(ticket)) is not None:
            ticket.loop.call_soon_threadsafe(task.cancel)

    async def do(self, what: Callable[[], T]) -> T:
        """What a call gives.

        Raises:
            HanlinError: what the call raises.
        """
        return what()

    async def work(self, pieces: Iterator[Any]) -> AsyncIterator[Any]:
        """Nothing that takes a network is done here.

        Raises:
            RefusedError: always.
        """
        raise RefusedError(f"{self.model} is computed by vLLM, which generates only", "ask a model computed here")
        yield

    def close(self, seconds: float = 10.0) -> None:
        """Let go: requests that are not over end with `ClosedError`."""
        self._is_closed = True
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        try:
            is_own = asyncio.get_running_loop() is loop
        except RuntimeError:
            is_own = False
        if is_own:
            loop.create_task(self._end())
            return
        asyncio.run_coroutine_threadsafe(self._end(), loop).result(seconds)

    async def _end(self) -> None:
        for ticket, task in list(self._tasks.items()):
            ticket._items.put_nowait(ClosedError())
            task.cancel()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(max_connections=None)
            times = httpx.Timeout(None, connect=CONNECT_SECONDS)
            self._client = httpx.AsyncClient(base_url=self.url, headers=headers(), timeout=times, limits=limits)
        return self._client

    async def _answer(self, ticket: Ticket, body: dict[str, Any], taken: asyncio.Future[None]) -> None:
        answer = Answer(ticket, self)
        try:
            async with asyncio.timeout(ticket.request.deadline_seconds):
                if "stream" in body:
                    await self._stream(answer, body, taken)
                else:
                    taken.set_result(None)
                    await self._whole(answer, body)
            answer.end()
        except TimeoutError:
            settle(taken, None)
            answer.cut()
        except HanlinError as error:
            if not settle(taken, error):
                ticket._items.put_nowait(error)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            told = UpstreamError(f"vLLM at {self.url} broke off: {str(error) or type(error).__name__}")
            if not settle(taken, told):
                ticket._items.put_nowait(told)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            told = UpstreamError(f"vLLM at {self.url} says what we do not know: {type(error).__name__}: {error}")
            if not settle(taken, told):
                ticket._items.put_nowait(told)

    async def _stream(self, answer: "Answer", body: dict[str, Any], taken: asyncio.Future[None]) -> None:
        async with self._http().stream("POST", "/v1/completions", json=body) as reply:
            if reply.status_code != 200:
                raise refusal(reply, await reply.aread())
            settle(taken, None)
            async for line in reply.aiter_lines():
                if not line.startswith("data:"):
                    continue
                text = line[5:].strip()
                if text == "[DONE]":
                    return
                answer.take(json.loads(text))
        raise UpstreamError(f"vLLM at {self.url} broke off before the answer was whole")

    async def _whole(self, answer: "Answer", body: dict[str, Any]) -> None:
        reply = await self._http().post("/v1/completions", json=body)
        if reply.status_code != 200:
            raise refusal(reply, reply.content)
        told = reply.json()
        for place in wire.places(answer.ticket.request, told["choices"][0]["prompt_logprobs"]):
            answer.tell(place)
        answer.take(told)


class Answer:
    """The answers to one request, as they come."""

    def __init__(self, ticket: Ticket, remote: Remote) -> None:
        self.ticket, self.remote = ticket, remote
        self.texts = [""] * ticket.request.sampling.n
        self.ends: dict[int, Event] = {}

    def take(self, told: dict[str, Any]) -> None:
        """An object of vLLM's: choices, counts, or an error.

        Raises:
            UpstreamError: it is an error.
        """
        if told.get("error"):
            error = told["error"]
            raise UpstreamError(f"vLLM failed: {error.get('message', error) if isinstance(error, dict) else error}")
        details = (told.get("usage") or {}).get("prompt_tokens_details") or {}
        self.ticket.found = details.get("cached_tokens") or self.ticket.found
        for choice in told.get("choices", ()):
            for event in wire.events(choice):
                self.texts[event.index] += event.text
                self.remote.tokens += event.token >= 0
                self.tell(wire.trimmed(event, self.ticket.request.sampling.logprobs or 0))
            self._finish(choice)

    def _finish(self, choice: dict[str, Any]) -> None:
        reason, index = choice.get("finish_reason"), choice["index"]
        if reason is None:
            return
        if reason not in FINISHES:
            raise UpstreamError(f"vLLM ended the answer with {reason!r}")
        stopped = choice.get("stop_reason")
        stopped_by = stopped if isinstance(stopped, str) else None
        self.ends[index] = Event(index, -1, "", 0.0, (), FINISHES[reason], stopped_by)

    def tell(self, item: Event | Place) -> None:
        """Whoever waits."""
        if self.ticket.begun is None and isinstance(item, Event):
            self.ticket.begun = time.monotonic()
        self.ticket._items.put_nowait(item)

    def end(self) -> None:
        """All has come.

        Raises:
            UpstreamError: not all, or not what it was held to.
        """
        request = self.ticket.request
        if len(self.ends) < request.sampling.n:
            raise UpstreamError("vLLM said [DONE] before the answer was whole")
        for index, event in sorted(self.ends.items()):
            if request.constraint is not None and event.finish == "stop" and event.stopped_by is None:
                wire.check(request.constraint, self.texts[index], self.remote.tokenizer)
        for _, event in sorted(self.ends.items()):
            self.tell(event)

    def cut(self) -> None:
        """Its time is over."""
        for index in range(self.ticket.request.sampling.n):
            self.tell(self.ends.get(index) or Event(index, -1, "", 0.0, (), "length"))


def settle(taken: asyncio.Future[None], error: HanlinError | None) -> bool:
    """Say that a request was taken or why not; whether nobody had said so yet."""
    if taken.done():
        return False
    if error is None:
        taken.set_result(None)
    else:
        taken.set_exception(error)
    return True


def refusal(reply: httpx.Response, content: bytes) -> HanlinError:
    """What vLLM answered in the place of an answer, as ours."""
    try:
        told = json.loads(content)
        told = told.get("error", told) if isinstance(told, dict) else {"message": told}
        message, param = str(told.get("message", told)), str(told.get("param") or "")
    except ValueError:
        message, param = content.decode(errors="replace")[:300], ""
    what = f"vLLM refuses: {message}"
    if reply.status_code in (429, 503):
        after = reply.headers.get("retry-after", "")
        return BusyError(what, "try again", int(after) if after.isdecimal() else 5, reply.status_code)
    if reply.status_code in (401, 403):
        return UpstreamError(what, f"give its key in {KEY}")
    if reply.status_code == 404:
        return UnknownModelError(what, "is it still the vLLM that was there at the start?")
    if reply.status_code in (400, 422):
        if "maximum context length" in message or "max_model_len" in message:
            return TooLongError(what, "shorten the prompt, or ask for fewer tokens")
        fix = "leave it out, or start vLLM so that it takes it"
        if "grammar" in message.lower() or "structured" in message.lower():
            fix = "start vLLM with --structured-outputs-config.backend guidance, which reads our grammars"
        return FieldError(param or "request", what, fix)
    return UpstreamError(f"vLLM failed with {reply.status_code}: {message}")
