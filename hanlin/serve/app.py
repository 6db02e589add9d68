"""The application: what a server holds in; paths, errors and the check in front of them out."""

import asyncio
import contextlib
import importlib
import logging
import pkgutil
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from hanlin import __version__
from hanlin.core.errors import HanlinError
from hanlin.serve import errors, routes
from hanlin.serve.answering import ClientGone
from hanlin.serve.door import Door
from hanlin.serve.keys import Keys
from hanlin.serve.metrics import Metrics
from hanlin.serve.pool import Pool
from hanlin.serve.replies import error_reply, json_reply
from hanlin.serve.server import Server
from hanlin.serve.settings import ServeSettings
from hanlin.serve.shapes.body import Body
from hanlin.serve.state import State

log = logging.getLogger(__name__)
IDLE_CHECK_SECONDS = 5.0


def application(settings: ServeSettings, pool: Pool, keys: Keys, state: State, has_door: bool = True) -> FastAPI:
    """All routes over one server, behind the door, unless that is elsewhere."""
    server = Server(settings, pool, state, Metrics(), keys)
    app = FastAPI(
        title="Hanlin",
        version=__version__,
        lifespan=_life,
        docs_url=None,
        redoc_url=None,
        description="Models of this machine. OpenAI's API, and more; what is not honoured is refused by name.",
    )
    app.state.server = server
    for router in routers():
        app.include_router(router)
    app.openapi = lambda: _document(app)
    _catch(app)
    if settings.cors:
        app.add_middleware(CORSMiddleware, allow_origins=list(settings.cors), allow_methods=["*"], allow_headers=["*"])
    if has_door:
        app.add_middleware(Door, settings=settings, keys=keys, metrics=server.metrics)
    return app


def routers() -> list[APIRouter]:
    """Of each file of routes its own."""
    found = pkgutil.iter_modules(routes.__path__)
    return [importlib.import_module(f"{routes.__name__}.{one.name}").router for one in found]


@contextlib.asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    server: Server = app.state.server
    server.loop = asyncio.get_running_loop()
    watch = asyncio.create_task(_drop_idle(server))
    try:
        yield
    finally:
        server.is_ready = False
        watch.cancel()
        await asyncio.to_thread(server.pool.close)
        server.state.close()


async def _drop_idle(server: Server) -> None:
    while True:
        await asyncio.sleep(IDLE_CHECK_SECONDS)
        for name in server.pool.drop_idle():
            log.info("let go of %s: nobody asked for it", name)


def _catch(app: FastAPI) -> None:
    """Whatever is raised becomes OpenAI's error JSON."""
    count = app.state.server.metrics.errors.labels

    async def reply(http: Request, error: Exception) -> Response:
        if isinstance(error, HanlinError):
            count(errors.kind(error)[0]).inc()
            return error_reply(error)
        if isinstance(error, HTTPException):
            what = {404: f"there is no {http.url.path} here", 405: f"{http.url.path} does not take {http.method}"}
            message = what.get(error.status_code, str(error.detail))
            return json_reply(errors.plain(error.status_code, message), error.status_code, dict(error.headers or {}))
        if isinstance(error, ClientGone):
            return json_reply(errors.plain(499, "the client has left"), 499)
        count("server_error").inc()
        request_id = http.scope["state"].get("request_id", "")
        log.error("a bug of ours in %s", request_id, exc_info=error)
        what = f"this is a bug in hanlin ({type(error).__name__}); the log has it under {request_id}"
        return json_reply(errors.plain(500, what, "internal_error"), 500)

    for kind in (HanlinError, HTTPException, ClientGone, Exception):
        app.add_exception_handler(kind, reply)


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the shapes of bodies, which routes read themselves."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        kinds = [(kind, "validation") for kind in _kinds(Body)]
        _, shapes = models_json_schema(kinds, ref_template="#/components/schemas/{model}")  # pyright: ignore
        document.setdefault("components", {}).setdefault("schemas", {}).update(shapes["$defs"])
        app.openapi_schema = document
    return app.openapi_schema


def _kinds(kind: type[Body]) -> list[type[Body]]:
    return [one for child in kind.__subclasses__() for one in (child, *_kinds(child))]
