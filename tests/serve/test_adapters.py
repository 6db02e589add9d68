"""Adapters over HTTP: a name beside the model's, in one batch with it, loaded and unloaded while it answers."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import torch

from hanlin import kernels
from hanlin.core.errors import ConfigError
from hanlin.model.adapters import origin, peft
from hanlin.model.adapters.lora import add
from hanlin.model.adapters.settings import AdapterSettings
from hanlin.serve.keeper import Keeper
from serve.live import Live, live, slowed, tiny_model

pytestmark = pytest.mark.skipif(kernels.missing() is not None, reason=f"no native kernels: {kernels.missing()}")
ASKED = {"prompt": "hello the abc", "max_tokens": 16, "temperature": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA that changes what the tiny model says."""
    path, settings = tmp_path_factory.mktemp("lora"), AdapterSettings(rank=4, alpha=16)
    network = tiny_model("tiny", "float32").network
    chance = torch.Generator().manual_seed(3)
    add(network, settings, chance)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=chance) * 0.5)
    peft.save(network, path, "tiny", settings)
    (path / origin.FILE).unlink(missing_ok=True)  # the tiny model is not on disk, where its weights could be looked up
    return path


@pytest.fixture
def server(tmp_path: Path, folder: Path) -> Iterator[Live]:
    with live(tmp_path) as found:
        body = {"lora_name": "mine", "lora_path": str(folder)}
        assert httpx.post(f"{found.api}/load_lora_adapter", json=body, timeout=60).status_code == 200
        yield found


def said(server: Live, model: str) -> str:
    reply = httpx.post(f"{server.api}/completions", json={**ASKED, "model": model}, timeout=60).json()
    assert reply["model"] == model
    return reply["choices"][0]["text"]


def test_each_says_its_own_alone_and_together(server: Live) -> None:
    alone = {name: said(server, name) for name in ("tiny", "mine")}
    assert alone["tiny"] != alone["mine"]
    names = ["tiny", "mine"] * 6
    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(lambda name: said(server, name), names)) == [alone[name] for name in names]
    listed = {one["id"]: one["root"] for one in httpx.get(f"{server.api}/models").json()["data"]}
    assert listed == {"tiny": "tiny", "mine": "tiny"}
    chat = {"model": "mine", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}
    assert httpx.post(f"{server.api}/chat/completions", json=chat).json()["model"] == "mine"


def test_it_comes_back_with_its_model_and_goes_when_nobody_needs_it(server: Live) -> None:
    before = said(server, "mine")
    server.server.pool.unload("tiny")
    assert said(server, "mine") == before
    undo = slowed(server, 0.05)
    long = {**ASKED, "model": "mine", "max_tokens": 400, "ignore_eos": True, "stream": True}
    with httpx.stream("POST", f"{server.api}/completions", json=long) as reply:
        lines = reply.iter_lines()
        next(lines)
        refused = httpx.post(f"{server.api}/unload_lora_adapter", json={"lora_name": "mine"})
        assert (refused.status_code, "in use" in refused.text) == (400, True)
    undo()
    keeper: Keeper = server.server.pool.loaded["tiny"].keeper
    while keeper.load:
        pass
    assert httpx.post(f"{server.api}/unload_lora_adapter", json={"lora_name": "mine"}).status_code == 200
    assert httpx.post(f"{server.api}/completions", json={**ASKED, "model": "mine"}).status_code == 404
    assert said(server, "tiny")


def test_what_cannot_be_is_refused_by_name(server: Live, folder: Path) -> None:
    for body, named in (
        ({"lora_name": "tiny", "lora_path": str(folder)}, "there is a model 'tiny'"),
        ({"lora_name": "other", "lora_path": str(folder / "none")}, "none"),
        ({"lora_name": "other", "lora_path": str(folder), "model": "nobody"}, "nobody"),
    ):
        reply = httpx.post(f"{server.api}/load_lora_adapter", json=body)
        assert 400 <= reply.status_code < 500, reply.text
        assert named in reply.json()["error"]["message"]
    vectors = httpx.post(f"{server.api}/embeddings", json={"model": "mine", "input": "a"})
    assert (vectors.status_code, "adapter" in vectors.text) == (400, True)


def test_adapters_named_at_the_start_are_there_with_the_first_request(tmp_path: Path, folder: Path) -> None:
    with live(tmp_path, adapter=(f"mine={folder}",)) as server:
        assert said(server, "mine") != said(server, "tiny")
    with pytest.raises(ConfigError, match="NAME=FOLDER"), live(tmp_path, adapter=("mine",)):
        pass


def test_an_adapter_of_other_weights_is_refused_and_one_that_does_not_say_is_warned_of(
    server: Live, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "stored_fingerprint", lambda _: "these")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)

    def loaded(name: str) -> httpx.Response:
        return httpx.post(
            f"{server.api}/load_lora_adapter", json={"lora_name": name, "lora_path": str(copy)}, timeout=60
        )

    (copy / origin.FILE).write_text('{"base": "another", "fingerprint": "those"}')
    refused = loaded("other")
    assert refused.status_code in (400, 409)
    assert "was trained on another" in refused.text
    (copy / origin.FILE).write_text('{"base": "tiny", "fingerprint": "these"}')
    assert loaded("same").json()["warnings"] == []
    (copy / origin.FILE).unlink()  # as PEFT's own
    assert "does not say" in loaded("mute").json()["warnings"][0]
