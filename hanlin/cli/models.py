"""A model by name for any verb: fetched first when it is not here, with the progress on standard error, then opened."""

import contextlib
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hanlin.model.store import DEFAULT, Progress, find, pull, resolve

LINE_SECONDS = 5.0
"""Where there is no terminal to draw on, a line this often."""
AHEAD_BYTES = 4 << 30


def open_model(
    name: str | None = None,
    dtype: str | None = None,
    adapter: str | None = None,
    engine: Any = None,
    draft: str | None = None,
) -> Any:
    """The model of that name, ready to use (a `hanlin.infer.model.Model`); None is the embedded default.

    `engine` are settings of our kernels' engine (`hanlin.infer.engine.EngineSettings`), `draft` is a model that guesses
    for it.

    Raises:
        StoreError: there is no such model, it is damaged, or it cannot be fetched.
        WeightsError: the checkpoint is damaged, incomplete or of a kind not carried.
        RefusedError: the adapter was trained on other weights, or is of a kind not carried.
    """
    read_ahead(fetched(name))
    from hanlin.infer.model import load

    if draft is not None:
        fetched(draft)
    return load(DEFAULT if name is None else name, dtype, adapter, engine, draft)


def fetched(name: str | None = None) -> Path:
    """Where the model lies; when it is not here, it is pulled, and standard error shows how that goes.

    Raises:
        StoreError: there is no such model, it is damaged, or it cannot be fetched.
    """
    name = DEFAULT if name is None else name
    if find(name) is None:
        show(pull(name))
    return resolve(name)


def read_ahead(path: Path) -> None:
    """Ask the system to read the weights while torch is imported; the call itself does not wait."""
    if not hasattr(os, "posix_fadvise"):
        return
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    left = AHEAD_BYTES
    for file in files:
        with contextlib.suppress(OSError), file.open("rb") as source:  # the loader will say what is wrong
            os.posix_fadvise(source.fileno(), 0, left, os.POSIX_FADV_WILLNEED)
            left -= file.stat().st_size
        if left <= 0:
            return


def show(progress: Iterable[Progress]) -> None:
    """Draw a pull on standard error: a bar on a terminal, else its sentences and a line every few seconds."""
    if sys.stderr.isatty():
        _bar(progress)
    else:
        _lines(progress)


def _bar(progress: Iterable[Progress]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    columns = (
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[file]}"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, visible=False, file="")
        for now in progress:
            if now.note:
                console.print(Text(now.note, style="dim"))
            if now.file:
                total = now.total_bytes or None
                bar.update(task, completed=now.done_bytes, total=total, visible=True, file=Path(now.file).name)


def _lines(progress: Iterable[Progress]) -> None:
    said = time.monotonic()
    for now in progress:
        if now.note:
            sys.stderr.write(f"{now.note}\n")
            sys.stderr.flush()
        elif now.done_bytes and time.monotonic() - said > LINE_SECONDS:
            of = f" of {now.total_bytes / 1e6:,.1f}" if now.total_bytes else ""
            sys.stderr.write(f"{now.file}: {now.done_bytes / 1e6:,.1f}{of} MB\n")
            sys.stderr.flush()
            said = time.monotonic()
