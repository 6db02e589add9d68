"""Blocks of keys and values on disk, so that what was read once need not be read again after a restart.

A file holds one block. It is named by a hash of the model, of the code that computes it and of all tokens up to the
block's end, and begins with a hash of its content: whatever was changed, cut off or put in another's place is told,
removed and computed again. The folder has a largest size; what was used longest ago goes first. Several programs may
share it, since files appear whole or not at all.
"""

import hashlib
import logging
import os
import platform
import secrets
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hanlin import kernels
from hanlin.core.errors import ConfigError, StoreError
from hanlin.core.home import expanded
from hanlin.core.lineage import content_hash
from hanlin.infer.engine.pages import Hash, Pages
from hanlin.infer.engine.settings import EngineSettings

log = logging.getLogger(__name__)
MAGIC, ENDING = b"hanlinKV", ".kv"
DIGEST = 32
STALE_SECONDS = 3600.0
"""A file half written that is older belongs to nobody."""
LEFT = 0.9
"""Share of the largest size that is left when some has to go."""
SOURCES = ("kernels", "model", "infer/engine")


def identity(model: Path, kind: str) -> bytes:
    """What tells apart keys and values of the same tokens: the weights, how they are kept, and the code that computes.

    Args:
        model: where its files lie; they are read once.
        kind: what its matrices are kept as.

    Raises:
        StoreError: a file cannot be read.
    """
    home = Path(__file__).parents[2]
    seen = hashlib.blake2b(digest_size=DIGEST)
    for folder in SOURCES:
        for file in sorted([*(home / folder).rglob("*.py"), *(home / folder).glob("_native*")]):
            seen.update(hashlib.blake2b(file.read_bytes()).digest())
    words = (content_hash(model), kind, kernels.path(), np.__version__, platform.machine())
    seen.update("\n".join(words).encode())
    return seen.digest()


def shelf_of(settings: EngineSettings, whose: bytes | None, memory: np.ndarray, pages: Pages) -> "Shelf | None":
    """What an engine's settings ask for.

    Raises:
        ConfigError: nobody told whose keys and values they are.
        StoreError: as `Shelf`.
    """
    if not settings.prefix_folder:
        return None
    if whose is None or not settings.has_prefix_cache:
        what = "has_prefix_cache is off" if whose else "the engine was not told its model's identity"
        raise ConfigError(f"prefix_folder = {settings.prefix_folder}, but {what}", "give it, or no prefix_folder")
    whole = whose + settings.kv_store.encode()
    return Shelf(expanded(settings.prefix_folder), settings.prefix_mb * 1_000_000, whole, memory, pages)


class Shelf:
    """The folder of one engine. Not for several threads at once."""

    def __init__(self, folder: Path, most_bytes: int, whose: bytes, memory: np.ndarray, pages: Pages) -> None:
        """`whose` is an `identity`, `memory` the blocks themselves, `pages` knows what is in them.

        Raises:
            StoreError: the folder cannot be made or read.
        """
        self.folder, self.most_bytes, self.whose, self.memory, self.pages = folder, most_bytes, whose, memory, pages
        self.read, self.written, self.damaged = 0, 0, 0
        """Blocks, so far."""
        self._due: deque[tuple[Hash, int]] = deque()
        self._is_full = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.bytes = sum(size for _, size, _ in self._files())
        except OSError as error:
            what = f"{folder} cannot hold what was read: {error.strerror}"
            raise StoreError(what, "choose another folder for it") from None

    def fetch(self, name: Hash, block: int) -> bool:
        """Fill a block with what is known by this name; whether there is such a thing, whole and unchanged."""
        path, into = self._path(name), self.memory[block]
        try:
            with path.open("rb") as source:
                head = source.read(len(MAGIC) + DIGEST)
                size = source.readinto(into.data)
                is_whole = size == into.nbytes and not source.read(1)
        except FileNotFoundError:
            return False
        except OSError as error:
            log.warning("%s cannot be read (%s): it is computed again", path, error.strerror)
            return False
        if not is_whole or head != MAGIC + self._digest(path.name, into):
            self.damaged += 1
            log.warning("%s is damaged: it was removed, and is computed again", path)
            path.unlink(missing_ok=True)
            return False
        self.read += 1
        os.utime(path)
        return True

    def note(self, blocks: Sequence[int]) -> None:
        """These are to be kept, when there is time to write them."""
        names = ((self.pages.content(block), block) for block in blocks)
        self._due.extend((name, block) for name, block in names if name is not None)  # else another block has the same

    def settle(self, most: int | None = None) -> None:
        """Write what is due, at most so many blocks; those that hold something else by now are left out."""
        count = len(self._due) if most is None else most
        while self._due and count > 0:
            name, block = self._due.popleft()
            path = self._path(name)
            if self.pages.content(block) == name and not self._is_full and not path.is_file():
                self._write(path, self.memory[block])
                count -= 1

    def _write(self, path: Path, block: np.ndarray) -> None:
        beside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
        size = len(MAGIC) + DIGEST + block.nbytes
        if size > self.most_bytes:
            return
        if self.bytes + size > self.most_bytes:
            self._make_room(size)
        try:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
                sink.write(MAGIC + self._digest(path.name, block))
                sink.write(block.data)
            beside.replace(path)
        except OSError as error:
            log.warning("%s cannot be written (%s): nothing more is kept there", self.folder, error.strerror)
            self._is_full = True
            beside.unlink(missing_ok=True)
            return
        self.bytes += size
        self.written += 1

    def _make_room(self, size: int) -> None:
        """For so many bytes more: what was used longest ago goes, and a little with it so that this is seldom done."""
        files = sorted(self._files())
        self.bytes = sum(one for _, one, _ in files)
        for _, one, path in files:
            if self.bytes + size <= self.most_bytes * LEFT:
                return
            path.unlink(missing_ok=True)
            self.bytes -= one

    def _files(self) -> list[tuple[float, int, Path]]:
        """When each was last used, its size, and where it lies; what others left half written goes."""
        found, border = [], time.time() - STALE_SECONDS
        for path in self.folder.iterdir():
            try:
                about = path.stat()
            except FileNotFoundError:  # another program has just made room
                continue
            if path.suffix == ENDING:
                found.append((about.st_mtime, about.st_size, path))
            elif path.name.startswith(".") and ENDING in path.name and about.st_mtime < border:
                path.unlink(missing_ok=True)
        return found

    def _path(self, name: Hash) -> Path:
        return self.folder / (hashlib.blake2b(self.whose + name, digest_size=20).hexdigest() + ENDING)

    def _digest(self, name: str, block: np.ndarray) -> bytes:
        return hashlib.blake2b(block.data, digest_size=DIGEST, key=name.encode()).digest()
