"""A package's archive in, its files out as plain files: wheels, tar files, Debian packages. Nothing in them is run.

Only ordinary files are taken, and only those that a source can read; links, devices and paths that lead out of the
folder are left where they are.
"""

import gzip
import io
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from hanlin.core.errors import CapacityError, RefusedError, StoreError

MOST_BYTES = 1 << 35
"""Of all files of a package, unpacked."""
BLOCK_BYTES = 1 << 20
MEMBER_HEAD = 60
"""Bytes before each member of an `ar` file: name 16, date 12, owner 6, group 6, mode 8, size 10, end 2."""


def unpack(archive: Path, folder: Path, is_wanted: Callable[[str], bool]) -> int:
    """Put the files whose path `is_wanted` into a folder, and say how many there were.

    Raises:
        StoreError: the archive is damaged.
        RefusedError: it would grow beyond all measure.
        CapacityError: the disk is full.
    """
    count, total = 0, 0
    try:
        for name, source in _members(archive):
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not is_wanted(str(path)):
                continue
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as sink:
                while block := source.read(BLOCK_BYTES):
                    total += len(block)
                    if total > MOST_BYTES:
                        what = f"{archive.name} holds more than {MOST_BYTES >> 30} GiB"
                        raise RefusedError(what, "unpack it yourself and name the folder")
                    sink.write(block)
            count += 1
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, ValueError) as error:
        raise StoreError(f"{archive.name} is damaged: {error}", "fetch it again") from None
    except OSError as error:
        free = shutil.disk_usage(folder).free
        what = f"{archive.name} cannot be unpacked: {error.strerror or error}; {free:,} bytes are free"
        raise CapacityError(what, "free some disk space, or move HANLIN_HOME") from None
    return count


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Each ordinary file of an archive: its path inside, and its bytes."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as box:
            for member in box.infolist():
                if not member.is_dir():
                    with box.open(member) as source:
                        yield member.filename, source
    elif archive.suffix == ".deb":
        with archive.open("rb") as raw:
            yield from _tar(_data(raw))
    else:
        with tarfile.open(archive) as box:
            for name, source in _files(box):
                yield name.partition("/")[2], source  # npm and PyPI put all into one folder


def _files(box: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in box:
        source = box.extractfile(member) if member.isfile() else None
        if source is not None:
            yield member.name.removeprefix("./"), source


def _tar(source: io.BufferedReader) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=source, mode="r|") as box:
        yield from _files(box)


def _data(raw: IO[bytes]) -> io.BufferedReader:
    """The unpacked `data.tar` of a Debian package. Format: https://manpages.debian.org/deb.5"""
    if raw.read(8) != b"!<arch>\n":
        raise ValueError("no Debian package")
    while head := raw.read(MEMBER_HEAD):
        name, size = head[:16].decode("ascii").strip().rstrip("/"), int(head[48:58])
        if name.startswith("data.tar"):
            content = io.BytesIO(raw.read(size))
            if name.endswith(".zst"):
                import pyarrow

                return _buffered(pyarrow.input_stream(content, compression="zstd"))
            return _buffered(lzma.open(content) if name.endswith(".xz") else gzip.GzipFile(fileobj=content))
        raw.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("it has no data.tar")


def _buffered(source: Any) -> io.BufferedReader:
    return io.BufferedReader(source)
