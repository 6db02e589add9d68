"""The hub: pinned to a commit, only what a model needs, resumed where it broke, and every refusal with its fix."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from hanlin.core.errors import CapacityError, ConfigError, HanlinError, RefusedError, StoreError
from hanlin.model.store import find, pull, resolve, stored, unfinished
from hanlin.model.store.sources import hub as source

NEEDED = {"config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors", "README.md"}


def notes(name: str, **options: object) -> list[str]:
    return [progress.note for progress in pull(name, **options) if progress.note]  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source.time, "sleep", lambda seconds: None)


def test_a_model_arrives_whole_pinned_and_without_what_it_does_not_need(hub, store: Path, files) -> None:
    hub.repos["org/name"] = files
    folder = resolve("org/name")
    assert folder == store / "org--name"
    here = {path.name for path in folder.iterdir()}
    assert here == NEEDED | {"manifest.json"}
    assert all((folder / name).read_bytes() == files[name] for name in NEEDED)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["source"], manifest["revision"], manifest["licence"]) == ("hub", hub.revisions["main"], "mit")
    sums = {file["path"]: file["sha256"] for file in manifest["files"]}
    assert sums == {name: hashlib.sha256(files[name]).hexdigest() for name in NEEDED}
    assert all(hub.revisions["main"] in path for _, path, _ in hub.asked if "/resolve/" in path)


def test_a_stored_model_is_found_without_asking_anybody(hub, files) -> None:
    hub.repos["org/name"] = files
    resolve("org/name")
    asked = len(hub.asked)
    assert resolve("org/name") == resolve("hub:org/name") == find("org/name")
    assert "already here" in notes("org/name")[0]
    assert len(hub.asked) == asked


def test_progress_only_grows_and_ends_at_the_total(hub, files) -> None:
    hub.repos["org/name"] = files
    seen = [progress for progress in pull("org/name") if progress.file]
    assert [one.done_bytes for one in seen] == sorted(one.done_bytes for one in seen)
    assert seen[-1].done_bytes == seen[-1].total_bytes == sum(len(files[name]) for name in NEEDED)


def test_a_connection_that_is_cut_goes_on_from_there(hub, files) -> None:
    hub.repos["org/name"] = files
    hub.cut_at = [1_500_000, 400_000]
    said = notes("org/name")
    assert find("org/name")
    assert hub.files_asked("model.safetensors") == ["", "bytes=1500000-", "bytes=1900000-"]
    assert sum("going on from" in note for note in said) == 2


def test_a_server_that_ignores_the_range_is_read_from_the_start(hub, files) -> None:
    hub.repos["org/name"] = files
    hub.cut_at, hub.ignores_range = [1_500_000], True
    folder = resolve("org/name")
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]


def test_a_server_that_is_busy_is_asked_again(hub, files) -> None:
    hub.repos["org/name"] = files
    hub.statuses = [(503, ""), (500, ""), (429, "")]
    assert resolve("org/name").is_dir()


def test_a_server_that_stays_broken_is_given_up_and_the_next_pull_goes_on(hub, files) -> None:
    hub.repos["org/name"] = files
    hub.cut_at = [1_000_000, 0, 0, 0, 0, 0]
    with pytest.raises(StoreError, match="times in a row") as error:
        notes("org/name")
    assert "1,000,000 of 3,000,000" in error.value.fix
    assert find("org/name") is None and stored() == [] and unfinished()[0][0] == "org/name"
    hub.cut_at = []
    resolve("org/name")
    assert hub.files_asked("model.safetensors")[-1] == "bytes=1000000-"
    assert unfinished() == []


def test_other_bytes_than_promised_are_not_kept(hub, store: Path, files) -> None:
    hub.repos["org/name"] = {**files, "README.md": b""}
    hub.lie = True
    with pytest.raises(StoreError, match="sha"):
        notes("org/name")
    assert find("org/name") is None
    assert not any(any(path.read_bytes()) for path in (store / ".staging").rglob("*") if path.is_file())


def test_a_file_longer_than_promised_is_refused(hub, files, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repos["org/name"] = files
    honest = source._wanted
    monkeypatch.setattr(source, "_wanted", lambda *given: replace(w, bytes=10) if (w := honest(*given)).sha256 else w)
    with pytest.raises(StoreError, match="longer than the 10 bytes"):
        notes("org/name")


def test_a_named_revision_is_pinned_to_its_commit_and_kept_beside_the_main_one(hub, files) -> None:
    hub.repos["org/name"] = files
    hub.revisions["v1"] = "beef" * 10
    assert resolve("org/name@v1") != resolve("org/name")
    notes("org/name", revision="v1", alias="first")
    assert {model.name: model.manifest.revision for model in stored() if model.manifest} == {
        "first": "beef" * 10,
        "org/name": hub.revisions["main"],
        "org/name@v1": "beef" * 10,
    }


def test_one_gguf_of_many_is_taken_by_a_part_of_its_name(hub, gguf: bytes) -> None:
    hub.repos["org/quants"] = {"m.Q4_K_M.gguf": gguf, "m.Q8_0.gguf": gguf, "README.md": b"papers"}
    with pytest.raises(StoreError, match="2 GGUF files") as error:
        notes("org/quants")
    assert "org/quants:m.Q4_K_M.gguf" in error.value.fix
    assert resolve("org/quants:q8_0").name == "m.Q8_0.gguf"
    with pytest.raises(StoreError, match="means 2 files"):
        notes("org/quants:gguf")
    with pytest.raises(StoreError, match="no GGUF file 'Q2_K'"):
        notes("org/quants:Q2_K")


def test_the_token_is_sent_to_the_hub(hub, files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "a" * 34)
    hub.repos["org/name"] = files
    resolve("org/name")
    assert set(hub.tokens) == {"Bearer hf_" + "a" * 34}


def test_a_refresh_replaces_the_old_copy_only_when_the_new_one_is_whole(hub, files) -> None:
    hub.repos["org/name"] = files
    folder = resolve("org/name")
    hub.repos["org/name"] = {**files, "config.json": b'{"model_type": "qwen3"}'}
    hub.revisions["main"] = "d00d" * 10
    hub.statuses = [(403, "")]
    with pytest.raises(StoreError):
        notes("org/name", is_forced=True)
    assert (folder / "config.json").read_bytes() == files["config.json"]
    notes("org/name", is_forced=True)
    assert b"qwen3" in (folder / "config.json").read_bytes()
    assert unfinished() == []


@pytest.mark.parametrize(
    ("set_up", "name", "kind", "what", "fix"),
    [
        ({}, "org/none", StoreError, "no model org/none", "spelling"),
        ({}, "org/name@v9", StoreError, "no revision 'v9'", "branch"),
        ({"api_status": (403, "GatedRepo")}, "org/name", StoreError, "gated", "HF_TOKEN"),
        ({"statuses": [(403, "GatedRepo")]}, "org/name", StoreError, "gated", "hf auth login"),
        ({"statuses": [(401, "")]}, "org/name", StoreError, "HTTP 401", "token"),
        ({"api_status": (503, "")}, "org/name", StoreError, "HTTP 503", "later"),
        ({"statuses": [(404, "EntryNotFound")]}, "org/name", StoreError, "HTTP 404", "check"),
        ({"page": b"<html>log in</html>"}, "org/name", StoreError, "sent something that is no answer", "proxy"),
        ({"repos": {"org/name": {"pytorch_model.bin": b"x"}}}, "org/name", RefusedError, "pickled", "safetensors"),
        ({"repos": {"org/name": {"README.md": b"x"}}}, "org/name", StoreError, "has no model", "config.json"),
        ({"repos": {"org/name": {"adapter_model.safetensors": b"x"}}}, "org/name", StoreError, "adapter", "made from"),
        ({"repos": {"org/name": {"../../x.gguf": b"x"}}}, "org/name", RefusedError, "lead out", "elsewhere"),
        ({"repos": {"org/name": {"a\\b.gguf": b"x"}}}, "org/name", RefusedError, "lead out", "elsewhere"),
        ({}, "or--g/name..x", StoreError, "no name of a hub model", "org/name"),
    ],
)
def test_a_refusal_says_what_and_the_fix_and_leaves_nothing(hub, files, set_up, name, kind, what, fix) -> None:
    hub.repos["org/name"] = files
    for key, value in set_up.items():
        setattr(hub, key, value)
    with pytest.raises(kind, match=what) as error:
        notes(name)
    assert fix in error.value.fix
    assert stored() == [] and "\n" not in error.value.what


def test_a_web_page_in_place_of_a_file_is_not_taken_for_it(hub, files) -> None:
    hub.repos["org/name"] = files
    progress = pull("org/name")
    next(progress)  # the list of files has come; then the login page appears
    hub.page = b"<html>log in</html>"
    with pytest.raises(StoreError, match="a web page instead of"):
        list(progress)


@pytest.mark.parametrize("name", ["org/name", "org/name@main"])
def test_offline_nothing_is_asked(hub, files, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repos["org/name"] = files
    with pytest.raises(StoreError, match="--offline"):
        notes(name, is_offline=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(StoreError, match="HF_HUB_OFFLINE is set"):
        notes(name)
    assert hub.asked == []


def test_a_hub_that_does_not_answer_is_given_up_in_time(store: Path, hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match="does not answer"):
        notes("org/name")
    with pytest.raises(TimeoutError, match="within"):
        source._within(0.05, lambda: __import__("threading").Event().wait(1))


def test_a_model_that_does_not_fit_is_refused_before_a_byte_is_fetched(hub, files, monkeypatch) -> None:
    from hanlin.model.store import disk

    hub.repos["org/name"] = files
    full = disk.shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: full)
    with pytest.raises(CapacityError, match="3 MB are needed, and 0 MB are free"):
        notes("org/name")
    assert not any("/resolve/" in path for _, path, _ in hub.asked)


def test_one_alias_cannot_mean_two_models(hub, files) -> None:
    hub.repos |= {"org/name": files, "org/other": files}
    notes("org/name", alias="mine")
    with pytest.raises(ConfigError, match="already the name of org/name"):
        notes("org/other", alias="mine")
    notes("org/other", alias="mine", is_forced=True)
    assert [model.manifest.origin for model in stored() if model.manifest] == ["org/other"]


@pytest.mark.parametrize("alias", ["../up", "a/b", ".hidden", "a b", "x" * 300, "a--b"])
def test_an_alias_that_could_leave_the_store_is_refused(hub, files, alias: str) -> None:
    hub.repos["org/name"] = files
    with pytest.raises(HanlinError) as error:
        notes("org/name", alias=alias)
    assert error.value.fix and stored() == []
