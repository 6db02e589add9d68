"""Texts inside packages are taken out; nothing in a package runs, and nothing leaves its folder."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from hanlin.core.errors import DataError, StoreError
from hanlin.data.archives import unpack
from hanlin.data.example import Row
from hanlin.data.files import kinds
from hanlin.data.packages import READABLE, package_files
from hanlin.data.read import rows
from hanlin.data.settings import SourceSettings


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "home"))


def tar(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as box:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            box.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo(f"{next(iter(files)).partition('/')[0]}/link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        box.addfile(link)
    return sink.getvalue()


def deb(data: bytes) -> bytes:
    members = b"".join(
        f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
        for name, content in (("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), ("data.tar.xz", data))
    )
    return b"!<arch>\n" + members


def test_a_source_package_is_read_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    setup = f"open({str(ran)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='verses', version='1.0')\n"
    links = tmp_path / "links"
    links.mkdir()
    files = {"verses-1.0/setup.py": setup.encode(), "verses-1.0/v/pos.txt": b"fine\nwell\n", "verses-1.0/v/x.bin": b"x"}
    (links / "verses-1.0.tar.gz").write_bytes(tar(files))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    source = SourceSettings(path="pypi:verses==1.0/v/*.txt", split="line", label_from="file")
    found = [row.value for row in rows(source) if isinstance(row, Row)]
    assert found == [{"text": "fine", "label": "pos"}, {"text": "well", "label": "pos"}]
    assert not ran.exists()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert len(package_files("pypi", "verses==1.0")) == 1  # kept, and only what can be read
    with pytest.raises(StoreError, match=r"pypi:verses==2\.0 cannot be fetched"):
        package_files("pypi", "verses==2.0/v")


def test_an_npm_package_is_fetched_by_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "poems.tgz").write_bytes(tar({"package/dist/a.json": b"[]", "package/package.json": b"{}"}))
    client = tmp_path / "bin" / "npm"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\n[ "$4" = poems@2.0.1 ] && cp {tmp_path}/poems.tgz .\n', "utf-8")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:/usr/bin:/bin")
    (file,) = package_files("npm", "poems@2.0.1/dist/*.json")
    assert file.name == "npm:poems@2.0.1/dist/a.json"
    with pytest.raises(DataError, match=r"no readable file 'none'; at its top are dist, package\.json"):
        package_files("npm", "poems@2.0.1/none")


def test_every_kind_of_archive_gives_its_files_and_none_outside(tmp_path: Path) -> None:
    files = {"package/a.txt": b"a" * 3001, "package/../../out.txt": b"no", "package/b.bin": b"b"}
    with zipfile.ZipFile(tmp_path / "w.whl", "w") as box:
        for name, content in files.items():
            box.writestr(name.removeprefix("package/"), content)
    (tmp_path / "t.tgz").write_bytes(tar(files))
    (tmp_path / "d.deb").write_bytes(deb(tar({"./a.txt": b"a" * 3001, "./../out.txt": b"no"}, "w:xz")))
    for name in ("w.whl", "t.tgz", "d.deb"):
        folder = tmp_path / "deep" / name
        folder.mkdir(parents=True)
        assert unpack(tmp_path / name, folder, lambda path: path.endswith(".txt")) == 1
        assert [item.relative_to(folder).as_posix() for item in folder.rglob("*")] == ["a.txt"]
        assert (folder / "a.txt").read_bytes() == b"a" * 3001
    assert not list(tmp_path.rglob("out.txt"))
    (tmp_path / "cut.tgz").write_bytes((tmp_path / "t.tgz").read_bytes()[:60])
    with pytest.raises(StoreError, match=r"cut\.tgz is damaged"):
        unpack(tmp_path / "cut.tgz", tmp_path, lambda _: True)


def test_whatever_a_source_can_read_is_taken_out_of_a_package() -> None:
    assert [ending for ending in kinds() if not READABLE.fullmatch(f"a{ending}")] == []


@pytest.mark.parametrize("path", ["pypi:verses", "pypi:verses==1.0/../x", "npm:poems", "pypi:-r==1", "deb:--help/x"])
def test_a_package_needs_a_name_and_a_version(path: str) -> None:
    with pytest.raises(DataError, match="is no package with a version"):
        list(rows(SourceSettings(path=path)))
