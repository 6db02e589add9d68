"""The one check in front of every path: size, origin, key, scope, rate. Plain ASGI, so that nothing goes around it.

Without keys a server answers whoever reaches it on this machine's own address, but no page of the web: a request must
name this machine as its host, come from no foreign origin, and carry JSON as such, which a page cannot send unasked.
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from hanlin.core.errors import HanlinError
from hanlin.serve import errors
from hanlin.serve.keys import Key, Keys, Scope
from hanlin.serve.metrics import Metrics
from hanlin.serve.replies import event, json_reply
from hanlin.serve.settings import LOOPBACK, ServeSettings

log = logging.getLogger("hanlin.serve")
OPEN = frozenset({"/health", "/ready"})
"""Paths that say nothing but whether the server lives."""
COOKIE = "hanlin_key"
HEADERS_BYTES = 64 << 10
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,80}")
SCOPES: tuple[tuple[str, Scope], ...] = (
    ("/metrics", "metrics"),
    ("/info", "metrics"),
    ("/v1/models/", "models"),
    ("/v1/load_lora_adapter", "models"),
    ("/v1/unload_lora_adapter", "models"),
    ("/v1/", "infer"),
    ("/tokenize", "infer"),
    ("/detokenize", "infer"),
    ("/tokenizer_info", "infer"),
    ("/openapi.json", "infer"),
)
LOGIN = "/login"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def scope_of(path: str, method: str) -> Scope | None:
    """What a key must open to reach a path; None for what is open to all."""
    if path in OPEN or path == LOGIN or path.startswith("/login/"):
        return None
    if path.startswith("/v1/models") and method == "GET":
        return "infer"
    for begin, scope in SCOPES:
        if path.startswith(begin):
            return scope
    return "studio"


class Refused(Exception):  # noqa: N818
    """A request that goes no further."""

    def __init__(self, status: int, message: str, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers


class Watch:
    """Over one answer: a stream whose key is removed or expires ends with an event that says so."""

    def __init__(self, keys: Keys, path: str) -> None:
        self.keys, self.path = keys, path
        self.key: Key | None = None
        self._is_stream = self._is_over = False
        self._task: asyncio.Future[None] | None = None

    async def over(self, key: Key | None, work: Awaitable[None]) -> None:
        """The work of answering, which ends with its key."""
        self.key = key
        if key is None:
            return await work
        task = self._task = asyncio.ensure_future(work)
        try:
            await task
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not self._is_over:
                raise

    async def pass_on(self, message: Message, send: Send) -> None:
        """A message of the answer, unless it is over."""
        if self._is_over:
            return
        if message["type"] == "http.response.start":
            self._is_stream = Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream")
        elif self._is_stream and self.key is not None and (why := self._lost(self.key)):
            self._is_over = True
            await send({"type": "http.response.body", "body": self._event(why).encode(), "more_body": False})
            assert self._task is not None
            self._task.cancel()
            return
        await send(message)

    def _lost(self, key: Key) -> str | None:
        try:
            return self.keys.lost(key)
        except HanlinError as error:
            return error.what

    def _event(self, why: str) -> str:
        told = errors.plain(401, f"{why}: the answer ends here", "invalid_api_key")
        if self.path == "/v1/messages":
            return event({"type": "error", "error": {**told["error"], "type": "authentication_error"}}, "error")
        if self.path == "/v1/responses":
            return event({"type": "error", **told["error"]}, "error")
        return event(told)


class Door:
    """In front of an application."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, keys: Keys, metrics: Metrics) -> None:
        self.app, self.settings, self.keys, self.metrics = app, settings, keys, metrics
        self.hosts = LOOPBACK | {settings.host, f"[{settings.host}]", "[::1]"}

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Let it through, or say why not."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(8)}"
        scope.setdefault("state", {})["request_id"] = request_id
        began, told = time.monotonic(), {"status": 0}

        watch = Watch(self.keys, scope["path"])

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                told["status"] = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await watch.pass_on(message, send)

        try:
            key = self._check(scope, headers)
            scope["state"]["key"] = key
            scope["state"]["owner"] = key.name if key else ""
            await watch.over(key, self.app(scope, receive, tell))
        except Refused as refused:
            await self._refuse(scope, receive, tell, refused)
        finally:
            if scope["type"] == "http":
                self._log(scope, told["status"], time.monotonic() - began)

    def _check(self, scope: AsgiScope, headers: Headers) -> Key | None:
        path, method = scope["path"], scope.get("method", "GET")
        self._check_size(headers)
        try:
            self.keys.reload()
        except HanlinError as error:
            raise Refused(500, error.what, "keys_unreadable") from None
        wanted = scope_of(path, method)
        if not self.keys.all:
            self._check_origin(headers, method)
            return None
        if wanted is None:
            return None
        key = self._key(scope, headers)
        if not key.may(wanted):
            raise Refused(403, f"this key may not: it has {', '.join(key.scopes)}, and {path} needs {wanted}", "scope")
        if wanted == "infer" and method in WRITES and (wait := self.keys.wait_seconds(key)):
            seconds = max(1, round(wait + 0.5))
            what = f"this key has used up its minute; come back in {seconds} s"
            raise Refused(429, what, "rate_limit_exceeded", {"Retry-After": str(seconds)})
        return key

    def _check_size(self, headers: Headers) -> None:
        head = sum(len(name) + len(value) for name, value in headers.raw)
        if head > HEADERS_BYTES:
            raise Refused(431, f"headers of {head:,} bytes; at most {HEADERS_BYTES:,} are read", "headers_too_large")
        length, limit = headers.get("content-length", "0"), self.settings.max_body_kb * 1024
        if not length.isdecimal() or int(length) > limit:
            raise Refused(413, f"a body of {length} bytes; at most {limit:,} are read", "body_too_large")

    def _check_origin(self, headers: Headers, method: str) -> None:
        """What a page of the web could do to a server without keys."""
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        if not self.settings.insecure and host not in LOOPBACK | {self.settings.host}:
            raise Refused(403, f"this server is not called {host!r}", "host")
        origin = headers.get("origin")
        if origin and origin not in self.settings.cors:
            place = urlsplit(origin).hostname or ""
            if place != host:
                raise Refused(403, f"pages of {origin} may not call this server", "origin")

    def _key(self, scope: AsgiScope, headers: Headers) -> Key:
        kind, _, secret = headers.get("authorization", "").partition(" ")
        secret = secret if kind.lower() == "bearer" else headers.get("x-api-key", "")
        if not secret and "cookie" in headers:
            found = re.search(rf"(?:^|;\s*){COOKIE}=([A-Za-z0-9_-]+)", headers["cookie"])
            secret = found[1] if found else ""
        key = self.keys.find(secret) if secret else None
        if key is None:
            what = "this key is none of ours" if secret else "there is no key: send Authorization: Bearer …"
            raise Refused(401, what, "invalid_api_key", {"WWW-Authenticate": "Bearer"})
        if key.is_over:
            raise Refused(401, "this key has expired", "invalid_api_key", {"WWW-Authenticate": "Bearer"})
        return key

    async def _refuse(self, scope: AsgiScope, receive: Receive, send: Send, refused: Refused) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4000 + refused.status % 1000, "reason": refused.message})
            return
        wants_page = "text/html" in Headers(scope=scope).get("accept", "")
        if refused.status == 401 and wants_page:
            reply = json_reply(None, 303, {"Location": f"{LOGIN}?next={scope['path']}"})
        else:
            body = errors.plain(refused.status, refused.message, refused.code)
            reply = json_reply(body, refused.status, refused.headers)
        await reply(scope, receive, send)

    def _log(self, scope: AsgiScope, status: int, seconds: float) -> None:
        """Who asked what, and how it went; never what was said."""
        route = getattr(scope.get("route"), "path", None) or ("studio" if status < 400 else "unknown")
        self.metrics.requests.labels(route, str(status)).inc()
        log.info(
            "request",
            extra={
                "request_id": scope["state"]["request_id"],
                "method": scope.get("method"),
                "path": scope["path"],
                "status": status or 499,
                "ms": round(seconds * 1000, 1),
                "key": scope["state"].get("owner", ""),
            },
        )
