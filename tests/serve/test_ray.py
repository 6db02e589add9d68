"""`--on ray`: two replicas on a Ray of this machine behind one door. One start of Ray for all of it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI

from hanlin import kernels
from hanlin.core.errors import ConfigError
from hanlin.model.save import save_folder
from hanlin.serve.elsewhere.front import deploy
from hanlin.serve.settings import ServeSettings
from serve.live import tiny_model

pytest.importorskip("ray.serve")
pytestmark = [
    pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}"),
    pytest.mark.xdist_group("ray"),
]
RUN = "from hanlin.cli.main import main; main()"
PORT = 18_642


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("ray")
    save_folder(tiny_model("tiny", "float32").checkpoint, folder / "tiny")
    given = ["--on", "ray", "--replicas", "2", "--max-replicas", "3", "--port", str(PORT), "--drain-seconds", "1"]
    given += ["--state", str(folder / "state.db"), "--keys", str(folder / "keys.json"), "--dtype", "int8"]
    with (folder / "log").open("w") as log:
        args = [sys.executable, "-c", RUN, "serve", str(folder / "tiny"), *given]
        server = subprocess.Popen(args, stderr=log, stdout=log)
    try:
        ends = time.monotonic() + 120
        while not (folder / "log").read_text().count("listening on"):
            assert server.poll() is None and time.monotonic() < ends, (folder / "log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{PORT}"
    finally:
        server.terminate()
        server.wait(60)


def asked(url: str, **body: Any) -> dict[str, Any]:
    reply = httpx.post(f"{url}/v1/completions", json={"max_tokens": 6, "temperature": 0, **body}, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_replicas_answer_as_one_server(url: str) -> None:
    long = "the abc he llo " * 12
    first, *rest = (asked(url, prompt=long) for _ in range(4))
    text, tokens = first["choices"][0]["text"], first["usage"]["completion_tokens"]
    for again in rest:
        assert again["choices"][0]["text"] == text
        assert again["usage"]["prompt_tokens_details"]["cached_tokens"], "what begins alike goes where it was read"
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        parts = client.completions.create(model="tiny", prompt=long, max_tokens=6, temperature=0, stream=True)
        assert "".join(part.choices[0].text for part in parts) == text
        told = client.responses.create(model="tiny", input="hello", max_output_tokens=4)
        assert told.usage is not None
        assert client.responses.retrieve(told.id).output_text == told.output_text
    page = httpx.get(f"{url}/metrics").text
    assert 'path="/v1/completions",status="200"} 5.0' in page
    count = 5 * tokens + told.usage.output_tokens
    assert f"hanlin_completion_tokens_total {count}.0" in page


def test_what_one_replica_would_do_alone_is_refused(url: str) -> None:
    for path, body, param in (
        ("/v1/models/unload", {"model": "tiny"}, "model"),
        ("/v1/responses", {"input": "a", "background": True}, "background"),
        ("/v1/completions", {"prompt": "a", "nonsense": 1}, "nonsense"),
    ):
        reply = httpx.post(url + path, json=body, timeout=30)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert httpx.get(f"{url}/v1/models", headers={"host": "evil.example"}).status_code == 403


def test_who_hangs_up_frees_the_replica(url: str) -> None:
    body = {"prompt": "abc", "max_tokens": 900, "ignore_eos": True, "stream": True}
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60) as parts:
        next(parts.iter_lines())
    ends = time.monotonic() + 10
    while 'in_flight{model="hanlin"} 0.0' not in httpx.get(f"{url}/metrics").text:
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_another_place_is_told_with_the_fix() -> None:
    with pytest.raises(ConfigError, match="no place to serve on"):
        deploy({"tiny": "tiny"}, ServeSettings(on="slurm"))
