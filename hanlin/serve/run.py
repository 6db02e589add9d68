"""A server's life: settings in; it listens, serves, and drains when it is told to end."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI

from hanlin.core.errors import ConfigError, HanlinError, RefusedError
from hanlin.serve.app import application
from hanlin.serve.door import HEADERS_BYTES
from hanlin.serve.elsewhere.opening import served_by
from hanlin.serve.keys import Keys
from hanlin.serve.pool import Pool
from hanlin.serve.protocol import patient
from hanlin.serve.server import Server
from hanlin.serve.settings import LOOPBACK, ServeSettings
from hanlin.serve.state import State

SLICE_SECONDS = 0.05


class _Line(logging.Formatter):
    """One JSON object a line; no text of a user is in it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = ("request_id", "method", "path", "status", "ms", "key")
        told = {name: getattr(record, name) for name in fields if hasattr(record, name)}
        line = {"time": self.formatTime(record), "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line | told).decode()


def check(settings: ServeSettings, keys: Keys) -> None:
    """Refuse what would be unsafe.

    Raises:
        RefusedError: it would listen beyond this machine without a key.
        ConfigError: TLS is half given.
    """
    if settings.host not in LOOPBACK and not keys.all and not settings.insecure:
        what = f"--host {settings.host} lets other machines in, and there is no key"
        raise RefusedError(what, "make one: hanlin keys add NAME; or say --insecure")
    if (settings.ssl_certfile is None) != (settings.ssl_keyfile is None):
        raise ConfigError("TLS needs a certificate and its key", "give both --ssl-certfile and --ssl-keyfile")


def listener(settings: ServeSettings) -> socket.socket:
    """The socket to listen on.

    Raises:
        ConfigError: the address cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        door = socket.create_server((settings.host, settings.port), family=family, backlog=1024)
        # What it accepts inherits this; asyncio sets it only for sockets made with a protocol number, which these are
        # not, and without it each answer on a kept connection waits 40 ms for an acknowledgement.
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return door
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise ConfigError(f"{where} cannot be listened on: {error.strerror}", "choose another --port") from None


def protocol(settings: ServeSettings) -> dict[str, Any]:
    """How uvicorn speaks HTTP: heads bounded in size and time."""
    http = patient(float(settings.body_seconds))
    return {"http": http, "h11_max_incomplete_event_size": HEADERS_BYTES, "timeout_keep_alive": 75}


def serve(
    models: Sequence[str],
    settings: ServeSettings,
    tell: Callable[[str], None],
    studio: Callable[[FastAPI], None] | None = None,
) -> None:
    """Serve until a signal ends it.

    Args:
        models: names, folders or files; a folder or file is served under its name.
        tell: gets the lines for whoever started it.
        studio: adds its pages to the application; called where the settings want them.

    Raises:
        HanlinError: it cannot begin.
    """
    keys = Keys(settings.keys)
    check(settings, keys)
    if settings.engine == "vllm" and not models:
        models = served_by(settings.vllm_url)
    if settings.on is not None:
        _serve_on_ray({_name(model): model for model in models}, settings, keys, tell)
        return
    pool = Pool({_name(model): model for model in models}, settings)
    state = State(settings.state)
    if not (settings.state or "").startswith("postgres") and (count := state.end_open()):
        tell(f"{count} responses were not finished when the last server ended: they have failed")
    app = application(settings, pool, keys, state)
    if settings.studio and studio is not None:
        studio(app)
    _listen(app, settings, tell, lambda: _load(app.state.server))


async def _load(server: Server) -> tuple[str, float]:
    """The first model is there before anybody asks."""
    async with server.taken(None, 1) as held:
        return held.served.name, held.served.load_seconds


def _serve_on_ray(models: dict[str, str], settings: ServeSettings, keys: Keys, tell: Callable[[str], None]) -> None:
    from hanlin.serve.elsewhere.front import deploy, front, ready

    door = listener(settings)
    door.close()  # before replicas are started for nothing
    if settings.studio:
        tell("on Ray the studio is not served")
    handle = deploy(models, settings)
    count, begin = settings.replicas, ready(handle)

    async def loaded() -> tuple[str, float]:
        return f"each of {count} replicas", await begin()

    _listen(front(settings, keys, handle), settings, tell, loaded)


def _listen(
    app: FastAPI,
    settings: ServeSettings,
    tell: Callable[[str], None],
    begin: Callable[[], Coroutine[Any, Any, tuple[str, float]]],
) -> None:
    door = listener(settings)
    handler = logging.StreamHandler()
    handler.setFormatter(_Line())
    root = logging.getLogger("hanlin")
    root.handlers, root.propagate = [handler], False
    root.setLevel(logging.INFO)
    options: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False}
    options |= {"ssl_certfile": settings.ssl_certfile, "ssl_keyfile": settings.ssl_keyfile}
    options |= protocol(settings)
    config = uvicorn.Config(app, **options)
    asyncio.run(_live(config, door, app.state.server, tell, begin))


async def _live(
    config: uvicorn.Config,
    door: socket.socket,
    server: Server,
    tell: Callable[[str], None],
    begin: Callable[[], Coroutine[Any, Any, tuple[str, float]]],
) -> None:
    web = uvicorn.Server(config)
    ends = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ends.set)
    web.install_signal_handlers = lambda: None  # pyright: ignore[reportAttributeAccessIssue]
    task = asyncio.ensure_future(web._serve([door]))
    try:
        name, seconds = await begin()
    except HanlinError:
        web.should_exit = True
        await task
        raise
    scheme = "https" if config.is_ssl else "http"
    host, port = door.getsockname()[:2]
    tell(f"{name} is loaded ({seconds:.1f} s); listening on {scheme}://{host}:{port}")
    waiting = asyncio.ensure_future(ends.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        await drain(server, tell)
        web.should_exit = True
        await task
    waiting.cancel()


async def drain(server: Server, tell: Callable[[str], None]) -> None:
    """Take nothing new; let answers come to their end, for so long; then end them."""
    server.is_ready = False
    left = server.settings.drain_seconds
    busy = sum(gate.inside for gate in server.gates.values())
    if busy:
        tell(f"ending: {busy} answers may go on for {left:g} s")
    while left > 0 and any(gate.inside for gate in server.gates.values()):
        await asyncio.sleep(SLICE_SECONDS)
        left -= SLICE_SECONDS
    for work in list(server.works.values()):
        work.cancel()
    for served in list(server.pool.loaded.values()):
        await asyncio.to_thread(served.keeper.close)


def _name(model: str) -> str:
    """The name a model is served under: a path's last part, without .gguf."""
    return (
        model.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf") if "/" in model or model.endswith(".gguf") else model
    )
