"""A model out of the store: its name in, the bytes it freed out. Nothing outside the store is ever touched."""

import os
import shutil
from pathlib import Path

from hanlin.core.errors import RefusedError, StoreError, did_you_mean, shown
from hanlin.model.store import place
from hanlin.model.store.disk import guarded
from hanlin.model.store.look import stored, unfinished
from hanlin.model.store.request import canonical


def removable(name: str) -> int:
    """The bytes that removing a stored model, and what an unfinished pull of it left, would free.

    Raises:
        StoreError: there is no such model.
        RefusedError: the name is a path.
    """
    name = canonical(name)
    if place.is_outside(name):
        raise RefusedError(
            f"{shown(name)} is a path, not a stored model", "remove it yourself; rm only touches the store"
        )
    folder, staged = place.folder(name), place.staging(name)
    if not (folder.is_dir() or folder.is_symlink() or staged.is_dir()):
        known = [model.name for model in stored()] + [pulled for pulled, _ in unfinished()]
        raise StoreError(f"there is no model {shown(name)} in the store", did_you_mean(name, known))
    return _bytes(folder) + _bytes(staged)


def remove(name: str) -> int:
    """Remove a stored model and what an unfinished pull of it left. Returns the bytes that are free now.

    Raises:
        StoreError: there is no such model, or a pull of it is under way.
        RefusedError: the name is a path.
    """
    from filelock import FileLock, Timeout

    freed, name = removable(name), canonical(name)
    folder, staged = place.folder(name), place.staging(name)
    with guarded(place.root()):
        place.lock(name).parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place.lock(name))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(f"a pull of {name} is under way", "wait for it, or stop it, then again") from None
        try:
            _delete(folder, staged)
        finally:
            lock.release()
    return freed


def _delete(folder: Path, staged: Path) -> None:
    if folder.is_symlink():  # a link that somebody put here: the link goes, what it leads to stays
        folder.unlink()
    if folder.is_dir():
        staged.mkdir(parents=True, exist_ok=True)
        gone = staged / "gone"
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)  # in one move: a model that is half removed is never seen
    if staged.is_dir():
        shutil.rmtree(staged)


def _bytes(folder: Path) -> int:
    """What removing the folder frees: a file with another hard link elsewhere frees nothing."""
    if folder.is_symlink() or not folder.is_dir():
        return 0
    found = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    return sum(status.st_size for path in found if (status := path.lstat()).st_nlink == 1)
