"""Training runs as processes of their own: begun, looked for, asked to stop. They outlive the page and the server."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from hanlin.core.errors import DataError, RefusedError

PROCESS, LOG = "studio.json", "studio.log"
"""In a run's folder: which process trains it, and what it printed."""
LAST_BYTES = 4000


def start(verb: Sequence[str], run_file: Path, folder: Path, *options: str) -> None:
    """`hanlin train` in a process of its own.

    Raises:
        RefusedError: the run is being trained already.
    """
    if running(folder) is not None:
        raise RefusedError(f"{folder.name} is being trained already", "stop it first, or choose another name")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("wb") as log:
        command = [*verb, "train", str(run_file), *options]
        env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}
        made = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=env
        )
    born = psutil.Process(made.pid).create_time()
    (folder / PROCESS).write_text(json.dumps({"pid": made.pid, "born": born}), "utf-8")


def running(folder: Path) -> psutil.Process | None:
    """The process that trains in a folder, if it lives."""
    try:
        told = json.loads((folder / PROCESS).read_text("utf-8"))
        process = psutil.Process(int(told["pid"]))
        if process.create_time() != told["born"]:
            return None
        if process.status() == psutil.STATUS_ZOMBIE:
            process.wait(1)
            return None
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    return process


def stop(folder: Path) -> None:
    """Ask it to save and end, as Ctrl-C does.

    Raises:
        RefusedError: nothing trains there.
    """
    process = running(folder)
    if process is None:
        raise RefusedError(f"{folder.name} is not being trained here", "hanlin runs tells how it ended")
    process.send_signal(signal.SIGINT)


def last_words(folder: Path) -> str:
    """The end of what it printed."""
    path = folder / LOG
    if not path.is_file():
        return ""
    with path.open("rb") as source:
        source.seek(max(0, path.stat().st_size - LAST_BYTES))
        text = source.read().decode("utf-8", "replace")
    return "\n".join(line.rsplit("\r", 1)[-1] for line in text.splitlines() if line.strip())[-1500:]


async def planned(verb: Sequence[str], run_file: Path) -> dict[str, Any]:
    """What `hanlin plan RUN --json` says; cancelling ends the process.

    Raises:
        DataError: it cannot be planned; its own words.
    """
    process = await asyncio.create_subprocess_exec(
        *verb, "plan", str(run_file), "--json", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        told, said = await process.communicate()
    except BaseException:
        process.kill()
        raise
    if process.returncode:
        what, _, fix = said.decode("utf-8", "replace").strip().rpartition("\n  fix: ")
        raise DataError((what or fix).strip()[-600:], fix.strip() or "see the run file")
    text = told.decode()
    return json.loads(text[text.index("{") :])
