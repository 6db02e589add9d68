"""A store of its own for each test, and a stand-in for the hub: the API's two questions, served from memory."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from hanlin.model.gguf.format import TensorType
from hanlin.model.gguf.write import write

COMMIT = "c0ffee" + "0" * 34
CONFIG = json.dumps({"model_type": "llama"}).encode()


@dataclass
class Hub:
    """What the stand-in serves and how it misbehaves; `asked` is every (method, path, Range) in order."""

    url: str = ""
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    cut_at: list[int] = field(default_factory=list)
    """After so many bytes of a body the connection is closed: one entry per answer, used up in order."""
    statuses: list[tuple[int, str]] = field(default_factory=list)
    """(HTTP status, X-Error-Code) of the next answers to a file's request."""
    api_status: tuple[int, str] | None = None
    page: bytes | None = None
    """A web page that answers in place of every file."""
    lie: bool = False
    """Serve other bytes than the list of files promises."""
    ignores_range: bool = False
    pause_seconds: float = 0.0
    """Between pieces of 64 kB."""
    tokens: list[str] = field(default_factory=list)

    def files_asked(self, name: str) -> list[str]:
        return [wish for _, path, wish in self.asked if path.endswith(f"/{name}") and "/resolve/" in path]


class Handler(BaseHTTPRequestHandler):
    server: "Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        return

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        self.server.hub.tokens.append(self.headers.get("Authorization", ""))
        if path.startswith("/api/models/"):
            self.listing(path.removeprefix("/api/models/"))
        else:
            self.file(*path[1:].partition("/resolve/")[::2])

    do_HEAD = do_GET

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def listing(self, text: str) -> None:
        if self.server.hub.page:
            return self.answer(200, self.server.hub.page, Content_Type="text/html")
        if self.server.hub.api_status:
            status, code = self.server.hub.api_status
            return self.answer(status, b"{}", X_Error_Code=code)
        repo, _, revision = text.partition("/revision/")
        commits = self.server.hub.revisions
        commit = commits.get(revision or "main", revision if revision in commits.values() else "")
        if repo not in self.server.hub.repos:
            return self.answer(401, b"{}", X_Error_Code="RepoNotFound")
        if not commit:
            return self.answer(404, b"{}", X_Error_Code="RevisionNotFound")
        siblings = [sibling(name, content) for name, content in self.server.hub.repos[repo].items()]
        found = {"id": repo, "modelId": repo, "sha": commit, "siblings": siblings, "tags": ["license:mit"]}
        return self.answer(200, json.dumps(found).encode(), Content_Type="application/json")

    def file(self, repo: str, text: str) -> None:
        if self.server.hub.statuses:
            status, code = self.server.hub.statuses.pop(0)
            return self.answer(status, b"{}", X_Error_Code=code)
        if self.server.hub.page:
            return self.answer(200, self.server.hub.page, Content_Type="text/html; charset=utf-8")
        content = self.server.hub.repos.get(repo, {}).get(text.partition("/")[2])
        if content is None:
            return self.answer(404, b"{}", X_Error_Code="EntryNotFound")
        if self.server.hub.lie:
            content = bytes(len(content))
        return self.body(content)

    def body(self, content: bytes) -> None:
        wish = self.headers.get("Range", "")
        start = 0 if self.server.hub.ignores_range or not wish else int(wish.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Content-Type", "application/octet-stream")
        self.end_headers()
        cut = self.server.hub.cut_at.pop(0) if self.server.hub.cut_at and len(content) > 1000 else None
        content = content[start:][:cut]
        for piece in range(0, len(content), 1 << 16):
            self.wfile.write(content[piece : piece + (1 << 16)])
            time.sleep(self.server.hub.pause_seconds)
        if cut is not None:
            self.close_connection = True


def sibling(name: str, content: bytes) -> dict[str, object]:
    """A file in the hub's listing: big ones by sha256 (LFS), small ones by the name git gives their content."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": blob}
    if len(content) > 1000:
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
    return entry


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub = hub

    def handle_error(self, request: object, client_address: object) -> None:
        return  # a client that was killed is part of these tests


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store; the path is where models will lie."""
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def hub(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The stand-in, which the hub's own library takes for the hub."""
    from huggingface_hub import constants

    found = Hub()
    server = Server(found)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", found.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def files() -> dict[str, bytes]:
    """A model as a hub has it: what is needed, and what must stay behind."""
    return {
        "config.json": CONFIG,
        "tokenizer.json": b"{}",
        "chat_template.jinja": b"{{ messages }}",
        "model.safetensors": np.random.default_rng(0).bytes(3_000_000),
        "README.md": b"# a model",
        "pytorch_model.bin": b"pickle",
        "modeling.py": b"raise SystemExit",
        "onnx/model.onnx": b"x",
    }


@pytest.fixture
def gguf(tmp_path: Path) -> bytes:
    """A small GGUF file that is whole."""
    path = tmp_path / "small.gguf"
    weights = np.arange(4096, dtype=np.float32).reshape(64, 64)
    write(path, {"general.architecture": "llama"}, [("weights", TensorType.F32, weights)])
    return path.read_bytes()
