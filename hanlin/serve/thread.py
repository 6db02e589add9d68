"""A server in a thread of this process, for as long as a block lasts: the tour's, and the tests'."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from hanlin.serve.app import application
from hanlin.serve.keys import Keys
from hanlin.serve.pool import Pool
from hanlin.serve.run import listener, protocol
from hanlin.serve.server import Server
from hanlin.serve.settings import ServeSettings
from hanlin.serve.state import State

GRACE_SECONDS = 20


@contextmanager
def running(pool: Pool, settings: ServeSettings, keys: Keys, state: State) -> Iterator[tuple[str, Server]]:
    """The base URL of a server that listens, and what it holds.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    app = application(settings, pool, keys, state)
    door = listener(settings)
    web = uvicorn.Server(uvicorn.Config(app, **protocol(settings), log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(web.serve([door])), name="server", daemon=True)
    thread.start()
    while not web.started and thread.is_alive():
        time.sleep(0.01)
    host, port = door.getsockname()[:2]
    try:
        yield f"http://{host}:{port}", app.state.server
    finally:
        web.should_exit = True
        thread.join(GRACE_SECONDS)
