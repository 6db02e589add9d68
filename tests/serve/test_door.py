"""The one check in front of every path: keys, scopes, rates, origins, sizes; nothing goes around it."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hanlin import kernels
from hanlin.core.errors import ConfigError, RefusedError
from hanlin.serve.app import application
from hanlin.serve.errors import BusyError
from hanlin.serve.keys import Keys
from hanlin.serve.run import check
from hanlin.serve.settings import ServeSettings
from serve.live import Live, live, slowed, until

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
ASKED = {"prompt": "hello", "max_tokens": 1}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    given = {"max_body_kb": 16, "body_seconds": 1, "cors": ("https://friend.example",)}
    with live(tmp_path_factory.mktemp("guarded"), **given) as found:
        yield found


@pytest.fixture
def http(guarded: Live) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=guarded.url, timeout=30) as found:
        yield found


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_with_a_key_every_path_needs_one(guarded: Live, http: httpx.Client) -> None:
    secret = guarded.keys.add("alice")
    try:
        paths = list(_paths(guarded))
        assert len(paths) > 20
        for path in [*paths, "/", "/nowhere", "/_nicegui/x", "/v1"]:
            reply = http.get(path.replace("{name}", "x").replace("{name:path}", "x"))
            assert reply.status_code == (200 if path in ("/health", "/ready") else 401), path
        for headers in (bearer("wrong"), {"Authorization": secret}, {"Cookie": "hanlin_key=wrong"}):
            assert http.post("/v1/completions", json=ASKED, headers=headers).status_code == 401
        for headers in (bearer(secret), {"x-api-key": secret}, {"Cookie": f"a=b; hanlin_key={secret}"}):
            assert http.post("/v1/completions", json=ASKED, headers=headers).status_code == 200
        for path in ("/metrics", "/info"):
            assert http.get(path, headers=bearer(secret)).status_code == 403
        assert http.post("/v1/models/unload", json={"model": "tiny"}, headers=bearer(secret)).status_code == 403
        assert http.get("/v1/models", headers=bearer(secret)).status_code == 200
    finally:
        guarded.keys.remove("alice")
    assert http.get("/v1/models").status_code == 200


def _paths(guarded: Live) -> dict[str, object]:
    app = application(guarded.server.settings, guarded.server.pool, guarded.keys, guarded.server.state)
    return app.openapi()["paths"]


def test_the_file_holds_no_key_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys.json")
    secret = keys.add("bob", scopes=("admin",))
    written = keys.path.read_text()
    assert secret not in written
    assert secret[4:20] not in written
    assert keys.path.stat().st_mode & 0o077 == 0
    found = Keys(keys.path).find(secret)
    assert found is not None
    assert found.may("metrics")
    with pytest.raises(ConfigError, match="there is a key 'bob'"):
        keys.add("bob")
    with pytest.raises(ConfigError, match="did you mean 'bob'"):
        keys.remove("bo")


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions", "/v1/messages", "/v1/responses"])
@pytest.mark.parametrize("how", ["removed", "expired"])
def test_a_key_that_is_lost_ends_its_streams_with_an_event(path: str, how: str, guarded: Live) -> None:
    """With a key of another one, so that the door is not open to all; the model's place is free again."""
    stays = bearer(guarded.keys.add("stays"))
    assert httpx.post(f"{guarded.api}/completions", json=ASKED, headers=stays, timeout=60).status_code == 200
    lives = {"expires": time.time() + 0.5} if how == "expired" else {}
    head = bearer(guarded.keys.add("goes", **lives))
    turns = [{"role": "user", "content": "hello"}]
    asked = {"prompt": "a", "ignore_eos": True} if path.endswith("v1/completions") else {"messages": turns}
    asked = {"input": "a", "max_output_tokens": 900} if "responses" in path else {**asked, "max_tokens": 900}
    undo = slowed(guarded, 0.02)
    try:
        body = {"model": "tiny", "stream": True, "temperature": 0, **asked}
        with httpx.stream("POST", guarded.url + path, json=body, headers=head, timeout=30) as reply:
            lines = reply.iter_lines()
            next(lines)
            if how == "removed":
                guarded.keys.remove("goes")
            assert (
                f"this key {'was removed' if how == 'removed' else 'has expired'}" in [one for one in lines if one][-1]
            )
        assert httpx.get(f"{guarded.api}/models", headers=head).status_code == 401
        until(lambda: guarded.server.pool.loaded["tiny"].keeper.load == 0)
    finally:
        undo()
        for key in guarded.keys.all:
            guarded.keys.remove(key.name)


def test_rates_are_held_and_say_when_to_come_back(guarded: Live, http: httpx.Client) -> None:
    few = bearer(guarded.keys.add("few", requests_per_minute=2))
    hung_up = bearer(guarded.keys.add("hung_up", tokens_per_minute=3))
    spent = bearer(guarded.keys.add("spent", tokens_per_minute=3))
    try:
        replies = [http.post("/v1/completions", json=ASKED, headers=few) for _ in range(3)]
        assert [reply.status_code for reply in replies] == [200, 200, 429]
        assert 50 < int(replies[-1].headers["Retry-After"]) <= 61
        assert http.get("/v1/models", headers=few).status_code == 200
        replies = [http.post("/v1/completions", json=ASKED, headers=spent) for _ in range(2)]
        assert [reply.status_code for reply in replies] == [200, 429]
        body = {**ASKED, "max_tokens": 500, "stream": True}
        with http.stream("POST", "/v1/completions", json=body, headers=hung_up) as reply:
            next(reply.iter_lines())  # what was made before it left is counted, too
        until(lambda: http.post("/v1/completions", json=ASKED, headers=hung_up).status_code == 429)
    finally:
        guarded.keys.remove("hung_up")
        guarded.keys.remove("few")
        guarded.keys.remove("spent")


def test_pages_of_the_web_are_kept_out_of_a_server_without_keys(http: httpx.Client) -> None:
    assert http.get("/v1/models", headers={"Host": "evil.example"}).status_code == 403
    assert http.get("/v1/models", headers={"Origin": "https://evil.example"}).status_code == 403
    friend = http.get("/v1/models", headers={"Origin": "https://friend.example"})
    assert friend.headers["access-control-allow-origin"] == "https://friend.example"
    simple = http.post("/v1/completions", content=b"{}", headers={"Content-Type": "text/plain"})
    assert simple.status_code == 415


def test_bodies_are_bounded_in_size_and_time(guarded: Live, http: httpx.Client) -> None:
    assert http.post("/v1/completions", json={"prompt": "x" * 20_000}).status_code == 413

    def parts() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 1024

    headers = {"Content-Type": "application/json"}
    assert http.post("/v1/completions", content=parts(), headers=headers).status_code == 413
    for wrong in (b"", b"[]", b"{", b"\xff", b"[" * 9000):
        reply = http.post("/v1/completions", content=wrong, headers=headers)
        assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")
    place = httpx.URL(guarded.url)
    with socket.create_connection((place.host, place.port or 80)) as slow:
        head = f"POST /v1/completions HTTP/1.1\r\nHost: {place.host}\r\nContent-Type: application/json\r\n"
        slow.sendall(f"{head}Content-Length: 100\r\n\r\n".encode())
        began = time.monotonic()
        assert b" 408 " in slow.recv(4096)
        assert time.monotonic() - began < 5


def test_a_head_that_comes_too_slowly_or_is_too_large_is_not_waited_for(guarded: Live, http: httpx.Client) -> None:
    place = httpx.URL(guarded.url)
    with socket.create_connection((place.host, place.port or 80)) as slow:
        slow.settimeout(10)
        began = time.monotonic()
        slow.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-")
        time.sleep(0.6)
        slow.sendall(b"a")  # a byte now and then does not help
        assert slow.recv(100) == b""
        assert time.monotonic() - began < 3
    assert http.get("/health", headers={"X-Large": "x" * 100_000}).status_code == 431
    with httpx.Client(base_url=guarded.url) as kept:
        assert kept.get("/health").status_code == 200
        with kept.stream("POST", "/v1/completions", json={**ASKED, "max_tokens": 600, "stream": True}) as reply:
            assert sum(1 for _ in reply.iter_lines()) > 10
        assert kept.get("/health").status_code == 200


def test_wider_than_this_machine_only_with_a_key(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys.json")
    wide = ServeSettings(host="0.0.0.0")
    with pytest.raises(RefusedError, match="no key"):
        check(wide, keys)
    check(ServeSettings(host="0.0.0.0", insecure=True), keys)
    keys.add("any")
    check(wide, keys)
    with pytest.raises(ConfigError, match="TLS"):
        check(ServeSettings(ssl_certfile=tmp_path / "x"), keys)


def test_a_page_that_stays_open_is_asked_again(guarded: Live) -> None:
    server = guarded.server
    server.admit(None)
    secret = guarded.keys.add("page", scopes=("studio",), requests_per_minute=1)
    key = guarded.keys.find(secret)
    try:
        with pytest.raises(RefusedError, match="none of ours any more"):
            server.admit(None)
        server.admit(key)
        with pytest.raises(BusyError, match="used up its minute"):
            server.admit(key)
    finally:
        guarded.keys.remove("page")
    with pytest.raises(RefusedError, match="none of ours any more"):
        server.admit(key)
    server.admit(None)
