"""One of several processes that serve the same models on a Ray cluster: ASGI scopes and bodies in, messages out.

Keys, sizes and rates are looked at in front (`hanlin.serve.elsewhere.front`), once for all replicas; what a request
cost goes back with its answer.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from hanlin.core.settings import parse
from hanlin.serve.app import application
from hanlin.serve.keys import Key, Keys
from hanlin.serve.metrics import Cost, Metrics
from hanlin.serve.pool import Pool
from hanlin.serve.settings import ServeSettings
from hanlin.serve.state import State

COSTS: ContextVar[list[Cost]] = ContextVar("costs")
"""What the request that is being answered has cost, as far as that was not told."""


def _told(costs: list[Cost]) -> dict[str, Any]:
    told = [vars(cost) for cost in costs]
    costs.clear()
    return {"type": "hanlin.costs", "costs": told}


class Passed(Metrics):
    """Counts of requests, kept for whoever stands in front."""

    def count(self, cost: Cost) -> None:
        """Also for the answer under way."""
        super().count(cost)
        COSTS.get().append(cost)


class Replica:
    """What Ray makes several of."""

    def __init__(self, models: Mapping[str, str], settings: Mapping[str, Any], cwd: str) -> None:
        if Path(cwd).is_dir():
            os.chdir(cwd)
        self.settings = parse(ServeSettings, dict(settings))
        pool, keys = Pool(dict(models), self.settings), Keys(self.settings.keys)
        self.app = application(self.settings, pool, keys, State(self.settings.state), has_door=False)
        self.app.state.server.metrics = Passed()

    async def begin(self) -> float:
        """Have the first model in memory; how long that took."""
        async with self.app.state.server.taken(None, 1) as held:
            return held.served.load_seconds

    async def answer(self, beginning: str, told: Mapping[str, Any], body: bytes) -> AsyncIterator[dict[str, Any]]:
        """The messages of an answer, and at the end what it cost. `beginning` is for the router."""
        costs: list[Cost] = []
        COSTS.set(costs)
        key = told["key"] and parse(Key, told["key"])
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": ""}
        scope |= {name: told[name] for name in ("method", "path", "raw_path", "query_string", "headers")}
        scope |= {"state": {"request_id": told["request_id"], "key": key, "owner": told["owner"]}}
        scope |= {"client": None, "server": None}
        messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        bodies, gone = [{"type": "http.request", "body": body, "more_body": False}], asyncio.Event()

        async def receive() -> dict[str, Any]:
            if bodies:
                return bodies.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def run() -> None:
            try:
                await self.app(scope, receive, messages.put)  # pyright: ignore[reportArgumentType]
            finally:
                messages.put_nowait(None)

        task = asyncio.ensure_future(run())
        try:
            while (message := await messages.get()) is not None:
                if costs:  # first, for who has the last message hangs up
                    yield _told(costs)
                yield message
            await task
            yield _told(costs)
        finally:
            gone.set()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
