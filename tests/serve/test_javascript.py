"""OpenAI's JavaScript client, from its npm package, through the same doors."""

import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from serve.live import Live, until

SCRIPT = Path(__file__).with_name("client.mjs")


def test_openais_javascript_client_is_answered(tiny_server: Live, tmp_path: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node and npm here")
    quiet = ["--no-audit", "--no-fund", "--silent"]
    got = subprocess.run(["npm", "install", *quiet, "openai@>=4 <7"], cwd=tmp_path, capture_output=True, text=True)
    if got.returncode:
        pytest.skip(f"npm cannot install openai: {got.stderr.strip()[-200:]}")
    (tmp_path / SCRIPT.name).write_text(SCRIPT.read_text())
    done = subprocess.run(
        ["node", SCRIPT.name, tiny_server.api], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    asked = {"messages": [{"role": "user", "content": "hello the abc"}], "temperature": 0, "max_tokens": 12}
    ours = httpx.post(f"{tiny_server.api}/chat/completions", json=asked).json()
    assert told["whole"] == told["streamed"] == ours["choices"][0]["message"]["content"]
    assert told["tokens"] == ours["usage"]["completion_tokens"]
    assert set(told["arguments"]) == {"city"}
    assert told["response"] is True
    assert told["embedding"] == 32
    assert told["models"] == ["tiny"]
    assert told["refused"] is True
    keeper = tiny_server.server.pool.loaded["tiny"].keeper
    until(lambda: not keeper.load)
