"""`--engine vllm`: what our server says of a model that vLLM computes is what it says of one it computes itself."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from hanlin import kernels
from hanlin.core.errors import ConfigError, TokenizerError
from hanlin.serve.elsewhere.opening import meet, served_by
from hanlin.text.folder import save_folder
from infer import tiny
from serve.fake_vllm import NAME, Fake, fake_vllm
from serve.live import CONTEXT, Live, live, tiny_model, until

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 8, "temperature": 0}
SCHEMA = {"type": "object", "properties": {"a": {"enum": [1, 22]}}, "required": ["a"], "additionalProperties": False}
HELD = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names") / "tiny"
    folder.mkdir()
    save_folder(tiny.tokenizer(), folder)
    return folder


@pytest.fixture(scope="module")
def fake() -> Iterator[Fake]:
    with fake_vllm(tiny_model("tiny"), CONTEXT, adapters=["mine"]) as found:
        yield found


@pytest.fixture(scope="module")
def served(fake: Fake, tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("elsewhere")
    with live(folder, {"tiny": str(tokens)}, engine="vllm", vllm_url=fake.url) as found:
        yield found


def said(server: Live, path: str, body: dict[str, Any]) -> Any:
    """Without what differs from call to call."""
    reply = httpx.post(server.url + path, json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    told = {name: value for name, value in reply.json().items() if name not in ("id", "created", "created_at", "usage")}
    for call in (told.get("choices") or [{}])[0].get("message", {}).get("tool_calls", ()):
        call.pop("id")
    return told


ASKED = {
    "chat": ("/v1/chat/completions", CHAT | {"logprobs": True, "top_logprobs": 2}),
    "seeds": ("/v1/chat/completions", CHAT | {"temperature": 1, "seed": 5, "n": 3, "top_k": 20, "min_p": 0.01}),
    "schema": ("/v1/chat/completions", CHAT | {"response_format": HELD, "max_tokens": 40}),
    "tools": ("/v1/chat/completions", CHAT | {"tools": [TOOL], "tool_choice": "required", "max_tokens": 90}),
    "regex": ("/v1/completions", {"prompt": "a", "response_format": {"type": "regex", "regex": "(yes|no)b{3}"}}),
    "echo": ("/v1/completions", {"prompt": "he llo", "echo": True, "logprobs": 2, "max_tokens": 1, "temperature": 0}),
    "bias": ("/v1/completions", {"prompt": "abc", "logit_bias": {"65": 100}, "max_tokens": 3, "temperature": 0}),
    "penalty": ("/v1/completions", {"prompt": "abc", "presence_penalty": 2, "repetition_penalty": 3, "temperature": 0}),
    "prompt": ("/v1/completions", {"prompt": "he llo", "prompt_logprobs": 1, "max_tokens": 2, "temperature": 0}),
    "score": ("/v1/score", {"text": "hello", "choices": [" a", " bb"]}),
    "classify": ("/v1/classify", {"input": "hello", "labels": ["good", "bad"]}),
    "messages": ("/v1/messages", {"model": "tiny", "messages": CHAT["messages"], "max_tokens": 6, "temperature": 0}),
}


@pytest.mark.parametrize("what", ASKED)
def test_an_answer_is_the_one_of_our_own_engine(what: str, served: Live, tiny_server: Live) -> None:
    path, body = ASKED[what]
    theirs, ours = said(served, path, body), said(tiny_server, path, body)
    if what == "messages":
        theirs, ours = theirs["content"], ours["content"]
    assert theirs == ours


def test_a_stream_says_what_the_whole_answer_says(served: Live, tiny_server: Live) -> None:
    with OpenAI(base_url=served.api, api_key="none") as client:
        whole = client.completions.create(model="tiny", prompt="the abc", max_tokens=9, seed=3, stop=["zzz"])
        parts = list(client.completions.create(model="tiny", prompt="the abc", max_tokens=9, seed=3, stream=True))
        assert "".join(part.choices[0].text for part in parts) == whole.choices[0].text
        assert parts[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "length"
        again = client.responses.create(model="tiny", input="hello", max_output_tokens=6, temperature=0)
        assert client.responses.retrieve(again.id).output_text == again.output_text


def test_a_stop_text_ends_the_answer_and_is_told(served: Live, tiny_server: Live) -> None:
    body = {"model": "tiny", "messages": CHAT["messages"], "max_tokens": 30, "temperature": 0}
    text = said(tiny_server, "/v1/messages", body)["content"][0]["text"]
    body["stop_sequences"] = [text[5:8]]
    told = said(served, "/v1/messages", body)
    assert (told["stop_reason"], told["stop_sequence"]) == ("stop_sequence", text[5:8])
    assert told["content"][0]["text"] == text[: text.index(text[5:8])]


def test_the_names_and_what_they_can_are_told(served: Live, fake: Fake) -> None:
    said(served, "/v1/completions", {"prompt": "a", "max_tokens": 1, "model": "mine"})
    assert fake.asked[-1]["model"] == "mine"
    assert [one["id"] for one in httpx.get(f"{served.api}/models").json()["data"]] == ["tiny", "mine"]
    told = httpx.get(f"{served.api}/capabilities").json()["models"]["tiny"]
    assert (told["engine"], told["context"], told["embeddings"]) == ("vllm", CONTEXT, False)
    assert "typical_p" in told["refused"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/completions", {"prompt": "a", "typical_p": 0.5}, "typical_p"),
        ("/v1/completions", {"prompt": "a", "dry_multiplier": 0.5}, "dry_multiplier"),
        ("/v1/completions", {"prompt": "a", "banned_tokens": [3]}, "banned_tokens"),
        ("/v1/completions", {"prompt": "a", "priority": 3}, "priority"),
        ("/v1/embeddings", {"input": "a"}, "model"),
    ],
)
def test_what_vllm_has_not_is_a_400_that_names_it(path: str, body: dict[str, Any], param: str, served: Live) -> None:
    reply = httpx.post(served.url + path, json=body, timeout=60)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def test_without_its_library_of_grammars_there_are_no_tools(tokens: Path, tmp_path: Path) -> None:
    with (
        fake_vllm(tiny_model("tiny"), CONTEXT, has_guidance=False) as fake,
        live(tmp_path, {"tiny": str(tokens)}, engine="vllm", vllm_url=fake.url) as server,
    ):
        reply = httpx.post(f"{server.api}/chat/completions", json=CHAT | {"tools": [TOOL]}, timeout=60)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "tools")
        told = httpx.get(f"{server.api}/capabilities").json()["models"]["tiny"]
        assert (told["tools"], "grammar" in told["structured_output"]) == (None, False)


@pytest.mark.parametrize("how", ["dies_after", "fails_after"])
def test_who_dies_half_way_is_told(how: str, served: Live, fake: Fake) -> None:
    setattr(fake, how, 3)
    try:
        reply = httpx.post(f"{served.api}/chat/completions", json=CHAT, timeout=60)
        assert (reply.status_code, reply.json()["error"]["code"]) == (502, "upstream_failed")
        with httpx.stream("POST", f"{served.api}/chat/completions", json=CHAT | {"stream": True}, timeout=60) as parts:
            lines = [line for line in parts.iter_lines() if line]
        assert "upstream_failed" in lines[-1] and len(lines) > 3
    finally:
        setattr(fake, how, None)
    assert said(served, "/v1/chat/completions", CHAT)["choices"][0]["finish_reason"] == "length"


def test_who_hangs_up_frees_vllm(served: Live, fake: Fake) -> None:
    undo = slowed_keeper(fake)
    try:
        body = {"prompt": "abc", "max_tokens": 900, "ignore_eos": True, "stream": True}
        with httpx.stream("POST", f"{served.api}/completions", json=body, timeout=60) as parts:
            next(parts.iter_lines())
            assert fake.keeper.load == 1
        until(lambda: fake.keeper.load == 0)
        until(lambda: served.server.pool.loaded["tiny"].keeper.load == 0)
    finally:
        undo()


def slowed_keeper(fake: Fake) -> Any:
    engine = fake.keeper.engine
    step = engine.step
    engine.step = lambda: (time.sleep(0.01), step())[1]  # pyright: ignore
    return lambda: setattr(engine, "step", step)


def test_an_answer_past_its_time_ends_with_length(fake: Fake, tokens: Path, tmp_path: Path) -> None:
    undo = slowed_keeper(fake)
    settings = {"engine": "vllm", "vllm_url": fake.url, "request_seconds": 0.3}
    try:
        with live(tmp_path, {"tiny": str(tokens)}, **settings) as server:
            told = said(server, "/v1/completions", {"prompt": "abc", "max_tokens": 900, "ignore_eos": True})
            assert told["choices"][0]["finish_reason"] == "length"
            until(lambda: fake.keeper.load == 0)
    finally:
        undo()


def test_what_does_not_fit_is_refused_at_the_start(
    fake: Fake, tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert served_by(fake.url) == [NAME]
    with pytest.raises(ConfigError, match="no vLLM at"):
        meet("http://127.0.0.1:9", "tiny", str(tokens), None)
    with pytest.raises(TokenizerError, match="not on this machine"):
        meet(fake.url, NAME, "org/nobody-has-this", None)
    other = tmp_path / "other"
    other.mkdir()
    one_more = tiny.tokenizer()
    one_more.backend.add_tokens(["done"])
    save_folder(one_more, other)
    with pytest.raises(ConfigError, match="counts tokens differently"):
        meet(fake.url, "tiny", str(other), None)
    monkeypatch.setattr(fake, "version", "0.9.1")
    with pytest.raises(ConfigError, match="too old"):
        meet(fake.url, "tiny", str(tokens), None)
    monkeypatch.setattr(fake, "version", "0.12.0")
    monkeypatch.setattr(fake, "key", "secret")
    with pytest.raises(ConfigError, match="wants a key"):
        meet(fake.url, "tiny", str(tokens), None)
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    assert meet(fake.url, "tiny", str(tokens), 99).model.context == 99


def test_an_answer_that_is_not_held_to_its_schema_is_no_answer(
    served: Live, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = fake._request

    def loose(given: dict[str, Any]) -> Any:
        return inner({name: value for name, value in given.items() if name != "structured_outputs"})

    monkeypatch.setattr(fake, "_request", loose)
    (end,) = tiny.tokenizer().eos
    for held in (HELD, {"type": "regex", "regex": "(yes|no)b{3}"}):
        body = {"prompt": "a", "response_format": held, "max_tokens": 40, "logit_bias": {str(end): 100}}
        reply = httpx.post(f"{served.api}/completions", json=body, timeout=60)
        assert (reply.status_code, reply.json()["error"]["code"]) == (502, "upstream_failed")


def test_letting_go_ends_what_runs(served: Live, fake: Fake, tokens: Path, tmp_path: Path) -> None:
    undo = slowed_keeper(fake)
    try:
        with live(tmp_path, {"tiny": str(tokens)}, engine="vllm", vllm_url=fake.url) as server:
            body = {"prompt": "abc", "max_tokens": 900, "ignore_eos": True, "stream": True}
            with httpx.stream("POST", f"{server.api}/completions", json=body, timeout=60) as parts:
                lines = parts.iter_lines()
                next(lines)
                server.server.pool.loaded["tiny"].keeper.close()
                assert any("overloaded" in line for line in lines)
    finally:
        undo()
