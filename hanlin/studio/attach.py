"""A server's application in; the same with the studio's pages behind its door out.

Pages are the files of `hanlin/studio/pages`: each has PATH, TITLE, ICON, ORDER and `show(visitor)`. NiceGUI is mounted
for the studio's own paths only, so that a path of the API that is not there is still answered as the API does.
"""

import importlib
import logging
import pkgutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.resources import files
from types import ModuleType
from typing import Any

from fastapi import FastAPI
from nicegui import app as web
from nicegui import nicegui, ui
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hanlin.serve.server import Server
from hanlin.studio import frame, login, markdown, pages
from hanlin.studio.tools import Tools
from hanlin.studio.visitor import visitor_of

log = logging.getLogger(__name__)
ASSETS = "/_studio/"
KEPT_MESSAGES = 200
"""NiceGUI's, per page: sent again after a connection broke for a moment."""
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # Vue compiles templates in the browser
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""The browser itself sees to it that nothing is asked of another host."""


def attach(app: FastAPI, tools: Tools) -> None:
    """Give an application its studio; once in a process, for NiceGUI is one for all.

    Args:
        app: made by `hanlin.serve.app.application`.
        tools: functions of rooms to the right.
    """
    server: Server = app.state.server
    found = [importlib.import_module(f"{pages.__name__}.{one.name}") for one in pkgutil.iter_modules(pages.__path__)]
    shown = sorted((page for page in found if not page.__name__.rpartition(".")[2].startswith("_")), key=_order)
    for page in shown:
        _add(page, shown, server, tools)
    _assets()
    login.add(app)
    logging.getLogger("nicegui").addFilter(lambda record: "is not a valid" not in record.getMessage())
    life = app.router.lifespan_context
    ui.run_with(
        app,
        title="Hanlin",
        favicon=_text("seal.svg"),
        dark=None,
        tailwind=False,
        message_history_length=KEPT_MESSAGES,
        show_welcome_message=False,
        mount_path="/_nicegui_mount",
        binding_refresh_interval=None,
    )
    app.router.lifespan_context = _living(life)
    app.router.routes.pop()
    paths = frozenset(page.PATH for page in shown)
    app.router.routes.append(_Studio(_Guarded(web), paths))


def _living(life: Any) -> Any:
    """An application's life with NiceGUI's in it.

    Its own way in looks at every object of the process for its server, also at those that another thread is making
    just then, which breaks them: a model that was being loaded failed with a SystemError.
    """

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[Any]:
        await nicegui._startup()
        async with life(app) as state:
            yield state
        await nicegui._shutdown()

    return living


def _order(page: ModuleType) -> int:
    return page.ORDER


def _add(page: ModuleType, shown: Iterable[ModuleType], server: Server, tools: Tools) -> None:
    @ui.page(page.PATH, title=page.TITLE.en)
    async def show(request: Request) -> None:
        visitor = visitor_of(request, server, tools, ui.context.client)
        with frame.around(visitor, page, shown):
            await page.show(visitor)


def _assets() -> None:
    """Styles and script, made once."""
    style = f"{_text('studio.css')}\n{markdown.colours()}"
    script = _text("studio.js")
    kept = "public, max-age=3600"

    @web.get(f"{ASSETS}studio.css")
    async def styles() -> Response:
        return Response(style, media_type="text/css", headers={"Cache-Control": kept})

    @web.get(f"{ASSETS}studio.js")
    async def scripts() -> Response:
        return Response(script, media_type="text/javascript", headers={"Cache-Control": kept})


def _text(name: str) -> str:
    return (files("hanlin.studio") / "assets" / name).read_text("utf-8")


class _Studio(Mount):
    """NiceGUI, for the studio's paths."""

    def __init__(self, app: ASGIApp, paths: frozenset[str]) -> None:
        super().__init__("", app)
        self.paths = paths

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Only what is the studio's own."""
        path = scope.get("path", "")
        if path in self.paths or path.startswith(("/_nicegui", ASSETS)) or path == "/favicon.ico":
            return super().matches(scope)
        return Match.NONE, {}


class _Guarded:
    """Tells the browser to ask nothing of another host, and no page to frame ours."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: Any = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
            await send(message)

        await self.app(scope, receive, tell)
