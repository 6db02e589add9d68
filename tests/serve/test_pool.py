"""Models come when they are asked for, go when room is needed or nobody asks, and change without a lost request."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from hanlin import kernels
from hanlin.core.errors import ConfigError
from hanlin.infer.model import Model
from hanlin.serve.errors import UnknownModelError
from hanlin.serve.pool import Pool
from hanlin.serve.settings import ServeSettings
from serve.live import live, slowed, tiny_model

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
ASKED = {"prompt": "hello", "max_tokens": 8, "temperature": 0}


def test_a_model_that_is_idle_makes_room_for_the_next(tmp_path: Path) -> None:
    models = {name: name for name in ("one", "two")}
    with live(tmp_path, models, memory_mb=64, kv_mb=40) as server:
        pool = server.server.pool
        for name in ("one", "two", "one"):
            reply = httpx.post(f"{server.api}/completions", json={**ASKED, "model": name})
            assert reply.status_code == 200, reply.text
            assert list(pool.loaded) == [name]


def test_a_model_in_use_is_not_let_go_and_who_asks_is_told_to_come_back(tmp_path: Path) -> None:
    with live(tmp_path, {"one": "one", "two": "two"}, memory_mb=64, kv_mb=40) as server:
        long = {"model": "one", "prompt": "hello", "max_tokens": 900, "ignore_eos": True, "stream": True}
        httpx.post(f"{server.api}/completions", json={**ASKED, "model": "one"})
        slowed(server, 0.05, "one")
        with httpx.stream("POST", f"{server.api}/completions", json=long) as reply:
            lines = reply.iter_lines()  # held: a generator that is let go of closes its stream
            next(lines)
            refused = httpx.post(f"{server.api}/completions", json={**ASKED, "model": "two"})
            assert refused.status_code == 503
            assert refused.headers["Retry-After"]
        assert list(server.server.pool.loaded) == ["one"]


def test_aliases_and_names(tmp_path: Path) -> None:
    with live(tmp_path, alias=("gpt-4o-mini=tiny",)) as server:
        names = [one["id"] for one in httpx.get(f"{server.api}/models").json()["data"]]
        assert names == ["tiny", "gpt-4o-mini"]
        assert httpx.post(f"{server.api}/completions", json={**ASKED, "model": "gpt-4o-mini"}).json()["model"] == "tiny"
        assert httpx.get(f"{server.api}/models/nobody").status_code == 404
    with pytest.raises(ConfigError, match="names no model"):
        Pool({"tiny": "tiny"}, ServeSettings(alias=("x=nobody",)), tiny_model)


def test_another_version_takes_the_name_and_no_request_is_lost(tmp_path: Path) -> None:
    def loader(where: str, dtype: str | None) -> Model:
        model = tiny_model(where, dtype)
        if where.endswith("better"):
            model.tokenizer.backend.add_tokens(["never said"])
        return model

    (tmp_path / "better").mkdir()
    (tmp_path / "better/config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "better/model.safetensors").write_bytes(b"")
    with live(tmp_path, loader=loader) as server:
        old = httpx.post(f"{server.api}/completions", json=ASKED).json()["choices"]
        before = server.server.pool.loaded["tiny"]
        asked = {**ASKED, "max_tokens": 400, "ignore_eos": True}
        with ThreadPoolExecutor(8) as threads:
            waiting = [
                threads.submit(httpx.post, f"{server.api}/completions", json=asked, timeout=60) for _ in range(4)
            ]
            while before.keeper.load < 4:
                time.sleep(0.005)
            body = {"model": "tiny", "path": str(tmp_path / "better")}
            changed = httpx.post(f"{server.api}/models/replace", json=body, timeout=60)
            assert changed.status_code == 200, changed.text
            assert server.server.pool.loaded["tiny"] is not before
            again = httpx.post(f"{server.api}/completions", json=ASKED).json()["choices"]
            assert all(one.result().json()["usage"]["completion_tokens"] == 400 for one in waiting)
        assert again == old  # the same weights, in fact
        assert not server.server.pool._leaving
        wrong = httpx.post(f"{server.api}/models/replace", json={"model": "tiny", "path": str(tmp_path / "none")})
        assert wrong.status_code in (400, 500)
        assert httpx.post(f"{server.api}/completions", json=ASKED).json()["choices"] == old


def test_nobody_asks_and_it_goes(tmp_path: Path) -> None:
    async def life() -> None:
        pool = Pool({"tiny": "tiny"}, ServeSettings(idle_seconds=0.05, kv_mb=10), tiny_model)
        async with pool.lease("tiny"):
            await asyncio.sleep(0.1)
            assert not pool.drop_idle()
        await asyncio.sleep(0.1)
        assert pool.drop_idle() == ["tiny"]
        with pytest.raises(UnknownModelError):
            async with pool.lease("nobody"):
                pass
        pool.close()

    asyncio.run(life())


def test_with_torch_the_same_requests_are_answered(tmp_path: Path) -> None:
    model = tiny_model("tiny", "float32")
    expected = "".join(event.text for event in model.generate("hello", max_tokens=8))
    with live(tmp_path, dtype="float32", streams=2) as server:
        asked: list[dict[str, Any]] = [ASKED, {**ASKED, "logprobs": 1, "echo": True}, {**ASKED, "n": 2}]
        with ThreadPoolExecutor(3) as threads:
            replies = list(threads.map(lambda body: httpx.post(f"{server.api}/completions", json=body), asked))
        told = [reply.json()["choices"] for reply in replies]
        assert told[0][0]["text"] == told[2][1]["text"] == expected
        assert told[1][0]["text"] == f"hello{expected}"
        assert len(told[1][0]["logprobs"]["token_logprobs"]) == 5 + 8
