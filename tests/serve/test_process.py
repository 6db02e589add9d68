"""`hanlin serve` as a process: killed under load it keeps what was stored; told to end it lets answers finish."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from hanlin import kernels

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
Started = tuple[subprocess.Popen[str], str]


def drain(stream: IO[str]) -> None:
    """Read what nobody looks at, so that a full pipe stops nothing."""
    with contextlib.suppress(ValueError):
        stream.read()


@pytest.fixture
def start(smollm2: Path, tmp_path: Path) -> Iterator[Callable[..., Started]]:
    children: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> Started:
        code = "from hanlin.cli.main import main; main()"
        argv = [sys.executable, "-c", code, "serve", str(smollm2), "--port", "0", "--no-studio"]
        argv += ["--state", str(tmp_path / "state.db"), "--keys", str(tmp_path / "keys.json"), *options]
        child = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env={**os.environ, "HANLIN_LANG": "en"})
        children.append(child)
        assert child.stderr is not None
        lines = []
        for line in child.stderr:
            lines.append(line)
            if "listening on " in line:
                threading.Thread(target=drain, args=(child.stderr,), daemon=True).start()
                return child, line.split("listening on ")[1].strip()
        raise AssertionError("".join(lines))

    yield begin
    for child in children:
        child.kill()
        child.communicate()


def test_killed_under_load_it_keeps_what_was_stored(start: Callable[..., Started]) -> None:
    child, url = start()
    asked = {"input": "What is the capital of France?", "temperature": 0, "max_output_tokens": 8}
    with httpx.Client(base_url=f"{url}/v1", timeout=60) as http:
        stored = [http.post("/responses", json=asked).json() for _ in range(3)]
        late = http.post("/responses", json={**asked, "background": True, "max_output_tokens": 4000}).json()
        for _ in range(200):
            if http.get(f"/responses/{late['id']}").json()["status"] == "in_progress":
                break
            time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    _, url = start()
    with httpx.Client(base_url=f"{url}/v1", timeout=60) as http:
        for one in stored:
            assert http.get(f"/responses/{one['id']}").json() == one
        lost = http.get(f"/responses/{late['id']}").json()
        assert (lost["status"], lost["error"]["code"]) == ("failed", "server_error")
        more = {"input": "And of Italy?", "previous_response_id": stored[0]["id"], "max_output_tokens": 4}
        assert http.post("/responses", json=more).status_code == 200


def test_told_to_end_it_takes_nothing_new_and_lets_answers_finish_or_says_that_it_did_not(
    start: Callable[..., Started],
) -> None:
    child, url = start("--drain-seconds", "4")
    asked = {"prompt": "Once upon a time", "temperature": 0, "ignore_eos": True, "stream": True}
    ends: dict[int, str] = {}

    def ask(tokens: int) -> None:
        body = {**asked, "max_tokens": tokens}
        with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60) as reply:
            lines = [line for line in reply.iter_lines() if line.startswith("data:")]
        ends[tokens] = lines[-1]

    threads = [threading.Thread(target=ask, args=(tokens,)) for tokens in (30, 8000)]
    for thread in threads:
        thread.start()
    until: Any = time.monotonic() + 20
    while httpx.get(f"{url}/info").json()["models"][0]["in_flight"] < 2 and time.monotonic() < until:
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    if child.poll() is None:
        assert httpx.get(f"{url}/ready").status_code == 503
        assert httpx.post(f"{url}/v1/completions", json={"prompt": "x"}).status_code == 503
    for thread in threads:
        thread.join(40)
    assert ends[30] == "data: [DONE]"
    assert "was let go of before the answer was whole" in ends[8000]
    assert child.wait(20) == 0
