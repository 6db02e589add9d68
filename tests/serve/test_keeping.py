"""Staying up: who leaves frees a place at once, one request's crash is its own, what is full says when to come back."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from hanlin import kernels
from hanlin.infer.engine import Engine
from serve.live import Live, live, slowed, until

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
LONG = {"prompt": "hello", "max_tokens": 900, "ignore_eos": True, "stream": True}


def test_who_leaves_frees_a_place_streaming_or_not(tmp_path: Path) -> None:
    with live(tmp_path, streams=2, queue=0) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        assert http.post("/v1/completions", json={"prompt": "a", "max_tokens": 1}).status_code == 200
        keeper, gate = server.server.pool.loaded["tiny"].keeper, server.server.gate("tiny")
        undo = slowed(server, 0.05)
        with http.stream("POST", "/v1/completions", json=LONG) as reply:
            lines = reply.iter_lines()  # held: a generator that is let go of closes its stream
            next(lines)
            assert keeper.load == 1
        until(lambda: not keeper.load and not gate.inside, 2)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.api}/completions", json={**LONG, "stream": False}, timeout=0.5)
        until(lambda: not keeper.load and not gate.inside, 2)
        undo()


def test_a_full_queue_says_when_to_come_back(tmp_path: Path) -> None:
    with live(tmp_path, streams=1, queue=1) as server:
        httpx.post(f"{server.api}/completions", json={"prompt": "a", "max_tokens": 1})
        undo = slowed(server, 0.02)
        asked = {"prompt": "hello", "max_tokens": 20, "ignore_eos": True}
        with ThreadPoolExecutor(6) as pool:
            replies = list(
                pool.map(lambda _: httpx.post(f"{server.api}/completions", json=asked, timeout=30), range(6))
            )
        undo()
        codes = sorted(reply.status_code for reply in replies)
        assert codes == [200, 200, 429, 429, 429, 429]
        for reply in replies:
            if reply.status_code == 429:
                assert int(reply.headers["Retry-After"]) >= 1
                assert reply.json()["error"]["code"] == "rate_limit_exceeded"


def test_a_failing_step_ends_its_requests_and_no_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with live(tmp_path) as server:
        asked = {"prompt": "hello", "max_tokens": 5}
        first = httpx.post(f"{server.api}/completions", json={**asked, "temperature": 0})
        engine = server.server.pool.loaded["tiny"].keeper.engine
        step = engine.step

        def fails() -> Any:
            engine.step = step  # pyright: ignore[reportAttributeAccessIssue]
            raise ValueError("a bug")

        engine.step = fails  # pyright: ignore[reportAttributeAccessIssue]
        broken = httpx.post(f"{server.api}/completions", json=asked)
        assert broken.status_code == 500
        assert "ValueError" not in broken.text
        again = httpx.post(f"{server.api}/completions", json={**asked, "temperature": 0})
        assert again.json()["choices"] == first.json()["choices"]


def test_a_long_silence_is_filled_with_how_far_the_prompt_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanlin.serve.answering.KEEP_ALIVE_SECONDS", 0.1)
    with live(tmp_path) as server:
        httpx.post(f"{server.api}/completions", json={"prompt": "a", "max_tokens": 1})
        engine = server.server.pool.loaded["tiny"].keeper.engine
        assert isinstance(engine, Engine)
        engine.settings = engine.settings.model_copy(update={"step_tokens": 32})
        undo = slowed(server, 0.25)
        asked = {"prompt": "x" * 400, "max_tokens": 1, "stream": True}
        with httpx.stream("POST", f"{server.api}/completions", json=asked, timeout=30) as reply:
            comments = [line for line in reply.iter_lines() if line.startswith(":")]
        undo()
        assert any("of 400 tokens, about" in line for line in comments), comments


def test_a_deadline_ends_an_answer_as_length(tmp_path: Path) -> None:
    with live(tmp_path, request_seconds=0.5) as server:
        httpx.post(f"{server.api}/completions", json={"prompt": "a", "max_tokens": 1})
        undo = slowed(server, 0.05)
        told = httpx.post(f"{server.api}/completions", json={**LONG, "stream": False}, timeout=30).json()
        undo()
        assert told["choices"][0]["finish_reason"] == "length"
        assert 1 <= told["usage"]["completion_tokens"] < 100


def test_answers_in_company_are_those_alone_whoever_leaves(tiny_server: Live) -> None:
    """Sixty requests of many kinds at once, a third of which hang up: the others get what they get alone."""
    url = f"{tiny_server.api}/completions"
    asked = [{"prompt": "hello " * (k % 7 + 1) + str(k), "max_tokens": 10 + k % 9, "seed": k} for k in range(60)]
    alone = {k: httpx.post(url, json=asked[k], timeout=60).json()["choices"] for k in range(0, 60, 5)}
    left = threading.Event()

    def ask(k: int) -> Any:
        if k % 3 == 1:
            with httpx.stream("POST", url, json={**asked[k], "stream": True}, timeout=60) as reply:
                next(reply.iter_lines(), None)
            left.set()
            return None
        return httpx.post(url, json=asked[k], timeout=60).json()["choices"]

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(ask, range(60)))
    assert left.is_set()
    assert all(found[k] == alone[k] for k in alone if k % 3 != 1)
    keeper = tiny_server.server.pool.loaded["tiny"].keeper
    until(lambda: not keeper.load and not tiny_server.server.gate("tiny").inside)
