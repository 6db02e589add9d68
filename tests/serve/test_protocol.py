"""What waits for a head of a request does not end what is no longer one: a websocket lives on."""

import asyncio
import socket
import threading
import time
from typing import Any

import pytest
import uvicorn

from hanlin.serve.protocol import patient


async def echo(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "websocket"
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_websocket_outlives_the_time_a_head_may_take() -> None:
    from websockets.sync.client import connect

    door = socket.create_server(("127.0.0.1", 0))
    web = uvicorn.Server(uvicorn.Config(echo, http=patient(0.2), lifespan="off", log_config=None))
    thread = threading.Thread(target=lambda: asyncio.run(web.serve([door])), daemon=True)
    thread.start()
    while not web.started:
        time.sleep(0.01)
    with connect(f"ws://127.0.0.1:{door.getsockname()[1]}") as ours:
        for said in ("one", "two"):
            time.sleep(0.5)
            ours.send(said)
            assert ours.recv(5) == said
    web.should_exit = True
    thread.join(10)
