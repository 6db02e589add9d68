"""Bytes onto the disk: a file grows, survives a kill, and counts as what it claims to be once its checksum agrees."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hanlin.core.errors import CapacityError, StoreError
from hanlin.model.store.manifest import Kept

CHUNK_BYTES = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SPARE_BYTES = 16 << 20


@dataclass(frozen=True)
class Wanted:
    """A file that a source offers, and what it must turn out to be."""

    path: str
    """Where it goes in the model's folder."""
    bytes: int
    """Its size."""
    sha256: str | None = None
    """Of its content; or else"""
    git_sha1: str | None = None
    """the name git gives it. At least one of them where the source is not this machine."""


@dataclass(frozen=True)
class Staging:
    """Where a source puts what it fetches: both folders are on the store's disk and outlive a kill."""

    model: Path
    """Whole files, checked; this folder becomes the stored model."""
    parts: Path
    """Files on their way, archives: the source's own business."""


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Around each touch of the disk: what the system says becomes an error with a fix.

    Raises:
        CapacityError: the disk, a quota or the size limit of files is full.
        StoreError: the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            what = f"the disk is full: {path} cannot grow ({error.strerror})"
            fix = "free some space and pull again, it goes on from here; or move the store with HANLIN_HOME"
            raise CapacityError(what, fix) from None
        fix = "choose a folder you may write to: HANLIN_HOME=…"
        raise StoreError(f"{path} cannot be written: {error.strerror or error}", fix) from None


def need(size_bytes: int, where: Path) -> None:
    """Make sure that so many bytes fit before any of them is fetched.

    Raises:
        CapacityError: they do not fit.
    """
    free = shutil.disk_usage(where).free
    if size_bytes and size_bytes + SPARE_BYTES > free:
        what = f"{size_bytes / 1e6:,.0f} MB are needed, and {free / 1e6:,.0f} MB are free in {where}"
        raise CapacityError(what, "free some space (hanlin models, hanlin rm NAME), or move the store with HANLIN_HOME")


class Part:
    """One file on its way in. What an earlier pull left of it is hashed, and goes on growing."""

    def __init__(self, wanted: Wanted, staging: Staging) -> None:
        self.wanted, self.staging = wanted, staging
        self.path = staging.parts / f"{wanted.sha256 or wanted.git_sha1 or 'part'}.part"
        with guarded(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.sink = self.path.open("a+b")
        self._hash()

    def __enter__(self) -> "Part":  # noqa: PYI034, beartype has no Self here
        return self

    def __exit__(self, *reason: object) -> None:
        with guarded(self.path):
            self.sink.close()

    def _hash(self) -> None:
        self.sha256, self.git_sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
        self.git_sha1.update(b"blob %d\0" % self.wanted.bytes)
        self.sink.seek(0)
        self.here_bytes = 0
        while chunk := self.sink.read(CHUNK_BYTES):
            self._count(chunk)
        if self.here_bytes > self.wanted.bytes:
            self.restart()

    def _count(self, chunk: bytes) -> None:
        self.sha256.update(chunk)
        self.git_sha1.update(chunk)
        self.here_bytes += len(chunk)

    def add(self, chunk: bytes) -> None:
        """Append the next bytes.

        Raises:
            StoreError: more came than the file may have.
            CapacityError: the disk is full; what came before stays for the next pull.
        """
        if self.here_bytes + len(chunk) > self.wanted.bytes:
            self.restart()
            fix = "try again; if it stays so, take the model from elsewhere"
            raise StoreError(f"{self.wanted.path} is longer than the {self.wanted.bytes:,} bytes it should have", fix)
        with guarded(self.path):
            self.sink.write(chunk)
            self.sink.flush()
        self._count(chunk)

    def restart(self) -> None:
        """Forget what came so far."""
        with guarded(self.path):
            self.sink.truncate(0)
        self._hash()

    def finish(self) -> Kept:
        """Check the whole and move it to its place in the model's folder.

        Raises:
            StoreError: its checksum is not the one it must have; nothing of it is kept.
        """
        wrong = None
        if self.here_bytes != self.wanted.bytes:
            wrong = f"{self.here_bytes:,} bytes came instead of {self.wanted.bytes:,}"
        elif self.wanted.sha256 not in (None, self.sha256.hexdigest()):
            wrong = f"its sha256 is {self.sha256.hexdigest()}, not {self.wanted.sha256}"
        elif self.wanted.git_sha1 not in (None, self.git_sha1.hexdigest()):
            wrong = f"its git sha1 is {self.git_sha1.hexdigest()}, not {self.wanted.git_sha1}"
        if wrong:
            self.restart()
            fix = "pull again; if it stays so, a proxy or the source itself changes the file: take it from elsewhere"
            raise StoreError(f"{self.wanted.path} is not the file it should be: {wrong}", fix)
        target = self.staging.model / self.wanted.path
        with guarded(target):
            os.fsync(self.sink.fileno())
            target.parent.mkdir(parents=True, exist_ok=True)
            self.path.replace(target)
        return Kept(path=self.wanted.path, bytes=self.here_bytes, sha256=self.sha256.hexdigest())


def already(wanted: Wanted, staging: Staging) -> Kept | None:
    """The record of a file that an earlier pull finished, if its content is still what it must be."""
    path = staging.model / wanted.path
    try:
        if path.stat().st_size != wanted.bytes:
            return None
        whole, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % wanted.bytes, usedforsecurity=False)
        with path.open("rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                whole.update(chunk)
                git.update(chunk)
    except OSError:
        return None
    is_same = wanted.sha256 in (None, whole.hexdigest()) and wanted.git_sha1 in (None, git.hexdigest())
    is_known = wanted.sha256 or wanted.git_sha1
    return Kept(path=wanted.path, bytes=wanted.bytes, sha256=whole.hexdigest()) if is_same and is_known else None
