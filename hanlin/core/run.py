"""A run folder: settings in, everything a run leaves behind out.

    out/tour/
        run.toml        the resolved settings; `hanlin … run.toml` repeats the run
        log.jsonl       one line per event, each with the seconds since the start
        …               whatever the run makes: report.html, weights, plots

Files are written whole or not at all: first beside the place, then moved onto it.
"""

import errno
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import tomli_w

from hanlin.core.errors import CapacityError, StoreError
from hanlin.core.settings import Settings


class Run:
    """One run's folder, made on entry; logging appends, `write` replaces whole files."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Make the folder and write the resolved settings into it.

        Raises:
            StoreError: the folder cannot be made or written, or has a log that no run wrote.
        """
        self.folder = folder
        self.started = time.monotonic()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            is_strange = (folder / "log.jsonl").exists() and not (folder / "run.toml").exists()
            if is_strange:
                raise StoreError(f"{folder} has a log.jsonl that no run wrote", "choose another folder with out=…")
            (folder / "log.jsonl").write_bytes(b"")
        except OSError as error:
            what = f"the run folder {folder} cannot be made: {error.strerror}"
            raise StoreError(what, "choose another with out=…") from None
        plain = settings.model_dump(mode="json", exclude_none=True)
        self.write("run.toml", tomli_w.dumps(plain).encode())

    def write(self, name: str, content: bytes) -> Path:
        """One file of the run, replaced whole."""
        path = self.folder / name
        with replacing(path) as sink:
            sink.write(content)
        return path

    def log(self, event: Mapping[str, Any]) -> None:
        """Append one event to log.jsonl, stamped with the seconds since the run began."""
        line = json.dumps({"seconds": round(time.monotonic() - self.started, 3), **event}, ensure_ascii=False)
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as sink:
            sink.write(f"{line}\n")


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears at `path` only when the block ends well: written beside it, flushed to disk, moved onto it.

    Raises:
        CapacityError: the disk, a quota or the size limit of files is full; `path` is as it was.
        StoreError: the folder or the file cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        sink = beside.open("xb")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}", "choose a folder you may write to") from None
    try:
        with sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        beside.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise CapacityError(f"{path}: {error.strerror}", "free some disk space, then again") from None
        raise StoreError(f"{path} cannot be written: {error.strerror}", "choose another place for it") from None
    finally:
        beside.unlink(missing_ok=True)
