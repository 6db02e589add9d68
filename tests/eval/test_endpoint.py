"""A model behind an address gets the figures it gets at home, and a server that dies loses none of its answers."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hanlin.core.errors import ConfigError, RefusedError, StoreError
from hanlin.eval.endpoint import Endpoint
from hanlin.eval.exam import Progress, Result, examine
from hanlin.eval.sample import Sample
from hanlin.eval.store import Store
from hanlin.eval.subject import Local
from hanlin.eval.task import Task
from serve.live import Live, live, tiny_model

SAMPLES = [
    Sample(f"{n}", prompt=f"abc the number {n} 翰林{space}", choices=("ab", "the llo", "翰林院"), gold=(n % 3,))
    for n, space in enumerate(["", " ", "?", "", "\n"])
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("server"), loader=lambda name, *_: tiny_model(name, "float32")) as found:
        yield found


@pytest.mark.parametrize("is_chat", [False, True])
def test_likelihoods_and_answers_over_http_are_those_of_the_model_itself(server: Live, is_chat: bool) -> None:
    there, here = Endpoint(server.api, is_chat), Local(tiny_model("tiny", "float32"), is_chat)
    assert there.name == f"tiny@{server.api.partition('://')[2]}"
    for one, other in zip(there.choose(SAMPLES, "So"), here.choose(SAMPLES, "So"), strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-3)
        assert one.alone == pytest.approx(other.alone, abs=1e-3)
        assert one.tokens == other.tokens
    stop = ("a", "b", "c", "d", "the", "翰")  # more than a server takes at once
    written = [list(one.write(SAMPLES, 12, stop)) for one in (there, here)]
    assert written[0] == written[1]


def test_a_text_read_over_http_is_as_likely_as_at_home(server: Live) -> None:
    texts = [Sample("1", references=("abc the 翰林 " * 9,)), Sample("2", references=("a",))]
    for one, other in zip(Endpoint(server.api).read(texts), Local(tiny_model("x", "float32")).read(texts), strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-2)
        assert one.tokens == other.tokens


class Frail(BaseHTTPRequestHandler):
    """A server of chats that fails now and then, or dies for good; it knows no likelihoods."""

    left, stumbles = 10**9, 0

    def do_GET(self) -> None:
        self.told({"object": "list", "data": [{"id": "frail", "object": "model", "created": 1, "owned_by": "us"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/tokenize":
            self.told({"error": {"message": "no such thing"}}, 404)
            return
        kind = type(self)
        if kind.left <= 0:
            self.told({"error": {"message": "out of memory"}}, 500)
            return
        if kind.stumbles > 0:
            kind.stumbles -= 1
            self.told({"error": {"message": "busy"}}, 429)
            return
        kind.left -= 1
        choice = {"index": 0, "finish_reason": "stop", "text": body.get("prompt", ""), "logprobs": None}
        choice["message"] = (
            {"role": "assistant", "content": f"= {body['messages'][0]['content']}"} if "messages" in body else {}
        )
        self.told({"id": "1", "object": "x", "created": 1, "model": "frail", "choices": [choice]})

    def told(self, value: Any, status: int = 200) -> None:
        whole = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(whole)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(whole)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def frail() -> Iterator[tuple[str, type[Frail]]]:
    class Own(Frail):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", Own
    server.shutdown()
    thread.join()
    server.server_close()


def echo_task(folder: Path) -> Task:
    (folder / "rows.jsonl").write_text("".join(f'{{"q": "{n}"}}\n' for n in range(40)), "utf-8")
    return Task(
        "echo",
        "write",
        lambda row: Sample(prompt=row["q"], references=(f"= {row['q']}",)),
        {"right": {"use": "exact_match"}},
        data=str(folder / "rows.jsonl"),
    )


def test_a_server_that_dies_half_way_loses_nothing(frail: tuple[str, type[Frail]], tmp_path: Path) -> None:
    url, kind = frail
    kind.left = 17
    store, one = Store(tmp_path / "kept.sqlite"), echo_task(tmp_path)
    with pytest.raises(StoreError, match="answers 500: 'out of memory'"):
        list(examine(Endpoint(url, True, 4, 0), one, store))
    kind.left = 10**9
    first, *_, last = examine(Endpoint(url, True, 4, 0), one, store)
    assert isinstance(first, Progress) and first.known == 17
    assert isinstance(last, Result) and last.scores["right"].value == 1.0
    assert kind.left == 10**9 - 23


def test_a_busy_server_is_asked_again(frail: tuple[str, type[Frail]], tmp_path: Path) -> None:
    url, kind = frail
    kind.stumbles = 5
    *_, last = examine(Endpoint(url, True, 4, 5), echo_task(tmp_path), Store(tmp_path / "kept.sqlite"))
    assert isinstance(last, Result) and last.scores["right"].value == 1.0 and kind.stumbles == 0


def test_what_a_server_has_not_is_named(frail: tuple[str, type[Frail]]) -> None:
    url, _ = frail
    with pytest.raises(RefusedError, match="gives no log-likelihoods"):
        list(Endpoint(url).choose(SAMPLES))
    with pytest.raises(ConfigError, match="has no model 'frial'") as told:
        Endpoint(f"{url}#frial")
    assert told.value.fix == "it has frail"
    with pytest.raises(StoreError, match="does not answer"):
        Endpoint("http://127.0.0.1:9/v1", retries=0)


def test_without_a_tokenizer_the_places_in_the_text_say_what_is_the_choices(
    server: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Endpoint, "_has_tokens", False)
    plain = [Sample(str(n), prompt=f"abc the number {n}", choices=("ab", "the llo"), gold=(0,)) for n in range(3)]
    here = Local(tiny_model("tiny", "float32"))
    for one, other in zip(Endpoint(server.api).choose(plain), here.choose(plain), strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-3)
        assert one.tokens == other.tokens
