"""In front of replicas on a Ray cluster: one door, one queue, one page of metrics; answers passed on as they come.

`hanlin serve --on ray[://HOST:PORT]`. The front is this process, so listening, TLS, keys and draining are what they are
without Ray; replicas are Ray's to start, to watch and to scale.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from hanlin.core.errors import ConfigError, HanlinError
from hanlin.core.machine import allowed_cores
from hanlin.serve import errors
from hanlin.serve.app import routers
from hanlin.serve.door import Door
from hanlin.serve.errors import BodyError, ClosedError, FieldError, UpstreamError
from hanlin.serve.keys import Keys
from hanlin.serve.metrics import Cost, Metrics
from hanlin.serve.pool import Pool
from hanlin.serve.replies import broken, error_reply, json_reply
from hanlin.serve.server import Server
from hanlin.serve.settings import ServeSettings
from hanlin.serve.state import State

NAME = "hanlin"
READ = 512
"""Characters of a request by which its replica is found."""
FIXED = "replicas serve what they were started with"


def deploy(models: Mapping[str, str], settings: ServeSettings) -> Any:
    """Replicas that are ready, by their handle.

    Raises:
        ConfigError: Ray is not here, not reached, or the replicas do not come up.
    """
    kind, _, address = (settings.on or "").partition("://")
    if kind != "ray":
        raise ConfigError(f"--on {settings.on} is no place to serve on", "--on ray, or --on ray://HOST:PORT")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray import serve
        from ray.serve.config import RequestRouterConfig
    except ImportError:
        raise ConfigError("--on ray needs Ray Serve, which is not installed", "pip install 'hanlin[ray]'") from None
    from hanlin.serve.elsewhere.replica import Replica

    if not ray.is_initialized():
        try:
            ray.init(address=address or None, include_dashboard=False, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            what = f"no Ray cluster at {address or 'this machine'}: {str(error).splitlines()[0]}"
            raise ConfigError(what, "start one with `ray start --head`, or use --on ray alone") from None
    most = max(settings.replicas, settings.max_replicas or 0)
    scale: dict[str, Any] = {"num_replicas": settings.replicas}
    if most > settings.replicas:
        wished = {"target_ongoing_requests": settings.streams / 2, "upscale_delay_s": 5, "downscale_delay_s": 60}
        scale = {"autoscaling_config": {"min_replicas": settings.replicas, "max_replicas": most, **wished}}
    cores = 1.0 if settings.engine == "vllm" else max(1, allowed_cores().count // most) if not address else 1.0
    router = "hanlin.serve.elsewhere.beginnings:ByBeginning"
    made: Any = serve.deployment(  # by name, for Ray's own processes import it
        Replica,
        max_ongoing_requests=settings.streams,
        ray_actor_options={"num_cpus": float(cores)},
        request_router_config=RequestRouterConfig(request_router_class=router),  # pyright: ignore[reportArgumentType]
        **scale,
    )
    given = settings.model_dump(mode="json", exclude_defaults=True)
    try:
        return serve.run(made.bind(dict(models), given, str(Path.cwd())), name=NAME, route_prefix=None)
    except RuntimeError as error:
        raise ConfigError(f"no replica came up: {error}", "see `ray logs`, or serve without --on") from None


def front(settings: ServeSettings, keys: Keys, handle: Any) -> FastAPI:
    """The application in front of replicas."""
    server = Server(settings, Pool({}, ServeSettings()), State(settings.state), Metrics(), keys)

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(_shut)
        server.state.close()

    app = FastAPI(title="Hanlin", lifespan=life, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.server = server
    app.mount("/", Forward(server, handle))
    app.add_middleware(Door, settings=settings, keys=keys, metrics=server.metrics)
    return app


def _shut() -> None:
    import ray
    from ray import serve

    serve.shutdown()
    ray.shutdown()


class Forward:
    """Requests to replicas, their messages back."""

    def __init__(self, server: Server, handle: Any) -> None:
        self.server, self.handle = server, handle
        most = max(server.settings.replicas, server.settings.max_replicas or 0)
        self.routes = [route for router in routers() for route in router.routes]
        self.gate = server.gate(NAME)
        self.gate.room = server.settings.streams * most + server.settings.queue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 4404, "reason": "the studio is not served on Ray"})
            return
        known = (route for route in self.routes if route.matches(scope)[0] is Match.FULL)
        scope["route"] = next(known, None)
        try:
            if (own := self._own(scope)) is not None:
                await own(scope, receive, send)
                return
            body = await self._body(receive)
            beginning = self._beginning(scope["path"], body)
            if not self.server.is_ready:
                raise errors.BusyError("this server is ending", "ask another one", seconds=5, status=503)
            self.gate.enter()
        except HanlinError as error:
            await error_reply(error)(scope, receive, send)
            return
        try:
            await self._pass(scope, body, beginning, receive, send)
        finally:
            self.gate.leave()

    def _own(self, scope: Scope) -> Any:
        """What the front answers itself.

        Raises:
            FieldError: it would be done by one replica only.
        """
        path = scope["path"]
        if path == "/ready":
            is_ready = self.server.is_ready
            return json_reply({"status": "ready" if is_ready else "ending"}, 200 if is_ready else 503)
        if path == "/health":
            return json_reply({"status": "ok"})
        if path == "/metrics":
            self.server.metrics.running.labels(NAME).set(self.gate.inside)
            return Response(self.server.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")
        is_change = path.startswith(("/v1/models/", "/v1/load_lora", "/v1/unload_lora")) and scope["method"] == "POST"
        if is_change:
            raise FieldError("model", f"{path} is not honoured on Ray: {FIXED}", "serve anew with other models")
        return None

    async def _body(self, receive: Receive) -> bytes:
        limit, parts, size = self.server.settings.max_body_kb * 1024, [], 0
        try:
            async with asyncio.timeout(self.server.settings.body_seconds):
                while True:
                    message = await receive()
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > limit:
                        raise BodyError(413, f"a body of more than {limit:,} bytes", "send less at once")
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            what = f"the body has not come in {self.server.settings.body_seconds:g} s"
            raise BodyError(408, what, "send it faster") from None

    def _beginning(self, path: str, body: bytes) -> str:
        """What the prompt begins with; "" where nothing is read.

        Raises:
            FieldError: it asks for what one replica would keep to itself.
        """
        try:
            given = orjson.loads(body) if body else {}
        except orjson.JSONDecodeError:
            return ""
        if not isinstance(given, dict):
            return ""
        if given.get("background") is True:
            raise FieldError("background", "background is not honoured on Ray: replicas come and go", "leave it out")
        if "previous_response_id" in given:
            return str(given["previous_response_id"])
        told = [given.get(name) for name in ("model", "instructions", "system", "messages", "prompt", "input", "text")]
        return orjson.dumps(told).decode()[:READ] if path.startswith("/v1/") else ""

    async def _pass(self, scope: Scope, body: bytes, beginning: str, receive: Receive, send: Send) -> None:
        state = scope["state"]
        names = ("method", "path", "raw_path", "query_string", "headers")
        told = {name: scope[name] for name in names} | {"request_id": state["request_id"], "owner": state["owner"]}
        told["key"] = state["key"].model_dump(mode="json") if state.get("key") else None
        parts = self.handle.options(stream=True).answer.remote(beginning, told, body)
        sent: dict[str, Any] = {"head": None}
        task = asyncio.ensure_future(self._send(parts, state.get("key"), sent, send))
        gone = asyncio.ensure_future(_gone(receive))
        self.server.works[state["request_id"]] = task
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                return
            error = ClosedError() if task.cancelled() else task.exception()
            if error is not None:
                await _fail(error, sent["head"], scope, receive, send)
        finally:
            self.server.works.pop(state["request_id"], None)
            parts.cancel()
            for one in (task, gone):
                one.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    async def _send(self, parts: Any, key: Any, sent: dict[str, Any], send: Send) -> None:
        async for message in parts:
            if message["type"] == "hanlin.costs":
                for cost in (Cost(**one) for one in message["costs"]):
                    self.server.metrics.count(cost)
                    if key is not None:
                        self.server.keys.spend(key, cost.prompt + cost.tokens)
                continue
            if message["type"] == "http.response.start":
                sent["head"] = message
            await send(message)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _fail(error: BaseException, head: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Say that a replica is gone, as an answer or as the last event of a stream."""
    known = error if isinstance(error, HanlinError) else UpstreamError(f"a replica failed: {type(error).__name__}")
    if head is None:
        await error_reply(known)(scope, receive, send)
        return
    kinds = dict(head["headers"])
    is_stream = kinds.get(b"content-type", b"").startswith(b"text/event-stream")
    await send({"type": "http.response.body", "body": broken(known).encode() if is_stream else b""})


def ready(handle: Any) -> Callable[[], Any]:
    """A call that waits until a replica has its model, and says how long it took."""

    async def begin() -> float:
        return await handle.begin.remote()

    return begin
