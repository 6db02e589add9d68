"""Runs a stranger's Python program where it can do no harm: its text in, how it ended out.

The program is a process of its own, which before it begins gives up writing files, reading any but Python's library,
sockets, signals and further processes, for good (see `cell.py`). It gets no environment. Where the system cannot do
that nothing is run. A program that ends before its last line has not ended well, whatever its exit status says.
"""

import os
import secrets
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from hanlin.core.errors import RefusedError

MEMORY_BYTES = 1 << 30
TOLD_BYTES = 1000
CELL = Path(__file__).with_name("cell.py")


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    is_well: bool
    reason: str = ""
    """Why not: "timeout", the exception, or the signal that ended it."""


def run(program: str, seconds: float = 5.0, memory_bytes: int = MEMORY_BYTES) -> Ended:
    """Run a program to its end, or until its time is up.

    Raises:
        RefusedError: this system cannot close a program in.
    """
    word = secrets.token_hex(16).encode()
    command = [sys.executable, "-I", "-S", "-B", str(CELL), str(memory_bytes), str(int(seconds) + 1)]
    try:
        cell = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd="/"
        )
    except OSError as error:
        raise RefusedError(f"no program can be run here: {error.strerror}", "run the exam on Linux") from None
    assert cell.stdin and cell.stdout
    try:
        try:
            cell.stdin.write(word + b"\n" + program.encode("utf-8", "replace"))
            cell.stdin.close()
        except BrokenPipeError:
            pass
        told, is_late = _heard(cell.stdout.fileno(), time.monotonic() + seconds)
    finally:
        cell.kill()
        cell.wait()
        cell.stdout.close()
    if told.startswith(b"closed ") or (not told and cell.returncode == 1):
        why = told[7:].decode("utf-8", "replace") or "the cell cannot be built"
        raise RefusedError(f"programs cannot be closed in here: {why}", "use a Linux kernel of 6.2 or newer")
    if told == b"well " + word:
        return Ended(True)
    if is_late:
        return Ended(False, "timeout")
    if told.startswith(b"failed "):
        return Ended(False, told[7:].decode("utf-8", "replace"))
    return Ended(False, f"ended before its last line (status {cell.returncode})")


def _heard(channel: int, until: float) -> tuple[bytes, bool]:
    """What the cell says, at most some bytes of it, and whether time was up before it ended."""
    told = b""
    while len(told) < TOLD_BYTES:
        left = until - time.monotonic()
        if left <= 0 or not select.select([channel], [], [], left)[0]:
            return told, True
        part = os.read(channel, TOLD_BYTES - len(told))
        if not part:
            return told, False
        told += part
    return told, False
