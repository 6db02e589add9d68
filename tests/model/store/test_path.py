"""A model on this machine: used where it lies, or copied in under a name; links that lead away are refused."""

import os
import shutil
from pathlib import Path

import pytest

from hanlin.core.errors import CapacityError, ConfigError, RefusedError, StoreError
from hanlin.model.store import find, pull, remove, resolve, stored


@pytest.fixture
def folder(tmp_path: Path, files: dict[str, bytes]) -> Path:
    """A model's folder as a user has it, with files that are no part of the model."""
    for name, content in files.items():
        target = tmp_path / "mine" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return tmp_path / "mine"


def test_a_path_is_used_where_it_lies(store: Path, folder: Path, gguf: bytes) -> None:
    assert resolve(str(folder)) == folder
    (folder / "one.gguf").write_bytes(gguf)
    assert resolve(str(folder / "one.gguf")) == folder / "one.gguf"
    assert not store.exists()


def test_a_path_may_climb(store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert resolve("onnx/..").samefile(folder)


def test_a_folder_with_one_gguf_is_that_file(store: Path, tmp_path: Path, gguf: bytes) -> None:
    (tmp_path / "quants").mkdir()
    (tmp_path / "quants" / "a.gguf").write_bytes(gguf)
    assert resolve(str(tmp_path / "quants")) == tmp_path / "quants" / "a.gguf"


def test_a_path_is_copied_in_under_a_name_as_a_hard_link(store: Path, folder: Path, files) -> None:
    list(pull(str(folder), alias="mine"))
    here = resolve("mine")
    assert here == store / "mine"
    assert {path.name for path in here.iterdir()} == {
        "config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors", "README.md", "manifest.json",
    }  # fmt: skip
    assert (here / "model.safetensors").samefile(folder / "model.safetensors")
    assert remove("mine") < 10_000  # the weights are still the user's own, so removing them here frees nothing
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]


def test_a_path_on_another_disk_is_copied(store: Path, folder: Path, files, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    list(pull(str(folder), alias="mine"))
    copied = resolve("mine") / "model.safetensors"
    assert copied.read_bytes() == files["model.safetensors"] and not copied.samefile(folder / "model.safetensors")
    full = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(CapacityError, match="are needed"):
        list(pull(str(folder), alias="other"))


def test_a_path_needs_a_name_to_be_copied_in(store: Path, folder: Path) -> None:
    with pytest.raises(ConfigError, match="has no name in the store") as error:
        list(pull(str(folder)))
    assert "--name" in error.value.fix


def test_a_stored_name_comes_before_a_folder_of_that_name(
    store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert resolve("mine") == Path("mine")
    list(pull("./mine", alias="mine"))
    assert resolve("mine") == store / "mine"
    assert resolve("./mine") == Path("mine")


@pytest.mark.parametrize("linked", ["config.json", "model.safetensors"])
def test_a_link_that_leads_out_of_its_folder_is_refused(store: Path, folder: Path, tmp_path: Path, linked: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"{}")
    (folder / linked).unlink()
    (folder / linked).symlink_to(secret)
    for use in (lambda: resolve(str(folder)), lambda: list(pull(str(folder), alias="mine"))):
        with pytest.raises(RefusedError, match="leads out of its folder"):
            use()
    assert stored() == []


def test_a_link_to_nothing_and_a_circle_of_links_are_errors(store: Path, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("model.safetensors")
    with pytest.raises(StoreError):
        resolve(str(folder))


def test_links_beside_each_other_in_the_hubs_own_cache_are_followed(store: Path, tmp_path: Path, files) -> None:
    cache = tmp_path / "models--org--name"
    (cache / "blobs").mkdir(parents=True)
    snapshot = cache / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (cache / "blobs" / name).write_bytes(files[name])
        (snapshot / name).symlink_to(f"../../blobs/{name}")
    assert resolve(str(snapshot)) == snapshot
    list(pull(str(snapshot), alias="mine"))
    copied = resolve("mine") / "model.safetensors"
    assert copied.read_bytes() == files["model.safetensors"] and not copied.is_symlink()


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda folder: None, "no folder or file"),
        (lambda folder: folder.mkdir(), "has no model"),
        (lambda folder: (folder.mkdir(), (folder / "model.bin").touch()), "only pickled weights"),
        (lambda folder: folder.write_bytes(b"text"), "is not a model"),
        (lambda folder: (folder.mkdir(), [(folder / f"{i}.gguf").touch() for i in "ab"]), "2 GGUF files"),
        (lambda folder: (folder.mkdir(), (folder / "m-00001-of-00002.gguf").touch()), "lacks m-00002-of-00002.gguf"),
    ],
)
def test_a_path_without_a_model_says_what_is_there(store: Path, tmp_path: Path, make, what: str) -> None:
    make(tmp_path / "here")
    with pytest.raises((StoreError, RefusedError), match=what) as error:
        find(str(tmp_path / "here"))
    assert error.value.fix
