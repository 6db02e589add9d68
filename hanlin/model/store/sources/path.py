"""A model that lies on this machine: a folder or .gguf file, used in place, or copied into the store when pulled.

A copy on the same disk is a hard link: it costs no space. Links inside a folder may not lead out of it, since what
they lead to is not part of the model; the hub's own cache, where files are links beside each other, is one exception.
"""

import os
from collections.abc import Generator
from pathlib import Path

from hanlin.core.errors import RefusedError, StoreError, shown
from hanlin.core.home import expanded
from hanlin.model.store.choose import Choice, choose
from hanlin.model.store.disk import CHUNK_BYTES, Part, Staging, Wanted, guarded, need
from hanlin.model.store.manifest import Fetched, Kept, kept
from hanlin.model.store.progress import Progress
from hanlin.model.store.request import Request

SPELLING = "./folder or ./file.gguf"


def used_in_place(path: Path) -> Path:
    """The path itself, if a model lies there that may be read.

    Raises:
        StoreError: nothing is there, or nothing that is a model.
        RefusedError: only pickled weights, or a link that leaves the folder.
    """
    if _holds(path, "run.toml") and _holds(path, "model"):
        path = path / "model"  # what a training run left
    if is_adapter(path):
        return path
    folder, choice = _looked_at(path)
    return folder / choice.entry if choice.entry else folder / choice.base


def is_adapter(path: Path) -> bool:
    """A folder that changes a model, as PEFT writes it; the model itself lies elsewhere."""
    return _holds(path, "adapter_config.json") and not _holds(path, "config.json")


def _holds(path: Path, name: str) -> bool:
    try:
        return (path / name).exists()
    except (OSError, ValueError):  # a name that no path may have
        return False


def fetch(request: Request, staging: Staging) -> Generator[Progress, None, Fetched]:
    """Bring the model's files into the store, linked where the disk is the same and copied where it is not.

    Raises:
        StoreError: no model there, or a file cannot be read.
        RefusedError: only pickled weights, or a link that leaves the folder.
        CapacityError: the disk is full.
    """
    folder, choice = _looked_at(expanded(request.text))
    sizes = {path: (folder / path).stat().st_size for path in choice.paths}
    total, done, files, is_checked = sum(sizes.values()), 0, [], False
    for path in choice.paths:
        target = staging.model / choice.target(path)
        yield Progress(path, done, total)
        if not _link((folder / path).resolve(), target):
            if not is_checked:
                need(total - done, staging.parts)
                is_checked = True
            yield from _copy(folder / path, Wanted(choice.target(path), sizes[path]), staging, done, total)
        files.append(kept(staging.model, choice.target(path)))
        done += sizes[path]
        yield Progress(path, done, total)
    return Fetched(source="path", origin=str(folder.absolute()), files=tuple(files), entry=choice.entry)


def _looked_at(path: Path) -> tuple[Path, Choice]:
    """The folder and the files in it that are the model."""
    try:
        if path.is_file():
            if path.suffix.lower() != ".gguf":
                fix = "name the folder that holds config.json and the weights, or a .gguf file"
                raise StoreError(f"{path} is not a model", fix)
            return path.parent, Choice((path.name,), "", path.name)
        if not path.is_dir():
            fix = "check the path; a stored name or a hub name (org/name) has no ./ before it"
            raise StoreError(f"there is no folder or file {shown(str(path))}", fix)
        names = [found.name for found in path.iterdir() if found.is_file() or found.is_symlink()]
    except OSError as error:
        raise StoreError(f"{shown(str(path), 300)} cannot be read: {error.strerror}", "check its permissions") from None
    choice = choose(names, None, str(path))
    boundary = path.resolve()
    if boundary.parent.name == "snapshots" and boundary.parent.parent.name.startswith("models--"):
        boundary = boundary.parent.parent  # the hub's cache: snapshots/COMMIT/file → ../../blobs/CHECKSUM
    for name in choice.paths:
        try:
            real = (path / name).resolve(strict=True)
        except (OSError, RuntimeError):  # nothing there, or a circle of links
            fix = "restore the file, or the link to it"
            raise StoreError(f"{path / name} is a link that leads to no file", fix) from None
        if not real.is_relative_to(boundary):
            raise RefusedError(
                f"{path / name} leads out of its folder, to {real}", "put the file itself into the folder"
            )
    return path, choice


def _link(source: Path, target: Path) -> bool:
    with guarded(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that has no hard links: copy
        return False
    return True


def _copy(source: Path, wanted: Wanted, staging: Staging, before: int, total: int) -> Generator[Progress, None, Kept]:
    with Part(wanted, staging) as part, source.open("rb") as content:
        part.restart()
        while chunk := content.read(CHUNK_BYTES):
            part.add(chunk)
            yield Progress(wanted.path, before + part.here_bytes, total)
        return part.finish()
