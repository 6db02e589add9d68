"""What goes back: JSON, server-sent events, and errors in the midst of them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hanlin.core.errors import HanlinError
from hanlin.serve import errors


def json_reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON, fast."""
    content = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, status, headers, media_type="application/json")


def error_reply(error: HanlinError) -> Response:
    """One of our errors; with the time to come back where there is one."""
    headers = {"Retry-After": str(error.seconds)} if isinstance(error, errors.BusyError) else None
    return json_reply(errors.as_json(error), errors.status(error), headers)


def event(value: Any, name: str | None = None) -> str:
    """A server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {orjson.dumps(value).decode()}\n\n"


def broken(error: HanlinError) -> str:
    """What went wrong after a stream had begun."""
    return event(errors.as_json(error))


class Stream(StreamingResponse):
    """Server-sent events; `leave` is called once nothing more is sent, however it ended."""

    def __init__(self, parts: AsyncIterator[str], leave: Callable[[], Awaitable[None]]) -> None:
        super().__init__(parts, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._parts, self._leave = parts, leave
        self.background: BackgroundTask | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            close = getattr(self._parts, "aclose", None)
            if close is not None:
                await close()
            await self._leave()
