"""`hanlin train RUN --workers N`: N processes of this machine that train together, and who sees to them; plan, too.

Also what one of them does, whoever started it: torchrun on several machines sets the same variables (RANK, WORLD_SIZE,
MASTER_ADDR, MASTER_PORT). A worker that dies takes the others with it; all go on from the last checkpoint.
"""

import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from hanlin.core.errors import CapacityError
from hanlin.train.checkpoint import listed
from hanlin.train.crew import Crew, joined, parted
from hanlin.train.prepare import folder_of
from hanlin.train.settings import RunFile

TRIES = 3
"""How often a run goes on after a worker has died."""
LOST = 75
"""Exit code of a worker whose others are gone."""
ERROR, INTERRUPTED = 2, 130
GRACE_SECONDS = 5.0
"""For the others to end by themselves when one has."""
WATCHED = "HANLIN_WATCHED"


def launch(settings: RunFile, run: Path, overrides: Sequence[str], options: Mapping[str, Any]) -> None:
    """Start the workers, see them through, and start them again where one dies.

    Raises:
        CapacityError: one died too often.
    """
    count, folder = options["workers"], folder_of(settings)
    known = made(folder)
    asked: list[int] = []
    with _heard(asked):
        for attempt in itertools.count(1):
            again = {"resume": True, "restart": False} if made(folder) - known else {}
            words = ("train", str(run), *overrides, *_flags({**options, **again}))
            codes = _through(_argv(words), count, asked)
            if _is_done(codes, asked):
                return
            if attempt > TRIES:
                fix = "if memory ran out, fewer --workers need less of it; then go on with --resume"
                raise CapacityError(f"{_fate(codes)}, for the {attempt}th time", fix)
            where = "from the last checkpoint" if made(folder) - known else "from the start"
            click.echo(f"{_fate(codes)}; going on {where} ({attempt} of {TRIES} times)", err=True)


def launch_once(words: Sequence[str], count: int) -> None:
    """Start `count` workers that do `hanlin WORDS` together, and see them through; nothing is tried again.

    Raises:
        CapacityError: one of them died.
    """
    asked: list[int] = []
    with _heard(asked):
        codes = _through(_argv(words), count, asked)
        if not _is_done(codes, asked):
            raise CapacityError(_fate(codes), "if memory ran out, fewer --workers need less of it")


def is_worker() -> bool:
    """Whether this process was started as one of several."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def made(folder: Path) -> frozenset[tuple[str, int]]:
    """The checkpoints that a run has, each as what tells it from a later one of its name."""
    return frozenset((path.name, path.stat().st_mtime_ns) for path in listed(folder))


def work(do: Callable[[Crew], object]) -> None:
    """Do something as one of several workers, as a launcher's variables say which."""
    if os.environ.get(WATCHED):
        threading.Thread(target=_end_with_launcher, daemon=True).start()
    crew = joined()
    try:
        do(crew)
    except RuntimeError as error:
        if not is_lost(error):
            raise
        sys.stderr.flush()
        os._exit(LOST)  # what torch still wants to tell the others would only wait for them
    parted()


def is_lost(error: RuntimeError) -> bool:
    """Whether it is the other processes that have gone."""
    import torch

    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def _end_with_launcher() -> None:
    """A launcher that is killed can tell nobody; but it holds the other end of our input."""
    with suppress(OSError):
        os.read(0, 1)  # not sys.stdin, whose lock an ending interpreter wants
    os._exit(LOST)


def _flags(options: Mapping[str, Any]) -> list[str]:
    flags = [f"--{name}" for name in ("resume", "force", "restart") if options[name]]
    return [*flags, "--until", str(options["until"])] if options["until"] else flags


def _argv(words: Sequence[str]) -> list[str]:
    debug = ["--debug"] if "--debug" in sys.argv else []
    return [sys.executable, "-c", "from hanlin.cli.main import main; main()", *debug, *words]


def _is_done(codes: Sequence[int], asked: Sequence[int]) -> bool:
    """Whether all ended well; a worker that has said what is wrong, or was asked to stop, ends this process, too."""
    if ERROR in codes:
        sys.exit(ERROR)
    if asked or INTERRUPTED in codes:
        raise KeyboardInterrupt
    if 1 in codes:
        sys.exit(1)
    return not any(codes)


def _through(argv: Sequence[str], count: int, asked: list[int]) -> list[int]:
    """Start the workers and wait for their ends: the exit code of each, by rank."""
    port = _port()
    with tempfile.TemporaryDirectory(prefix="hanlin-") as notes:
        workers: list[subprocess.Popen[bytes]] = []
        try:
            for rank in range(count):
                note = Path(notes) / str(rank)
                workers.append(_started(argv, rank, count, port, note))
            codes = _ends(workers, asked)
        finally:
            _stop(workers)
        failed = _culprit(codes)
        if failed:  # the leader speaks for itself
            click.echo((Path(notes) / str(failed)).read_text(errors="replace").strip(), err=True)
    return codes


def _started(argv: Sequence[str], rank: int, count: int, port: int, note: Path) -> subprocess.Popen[bytes]:
    """One worker, in a session of its own: Ctrl-C in the terminal reaches the launcher alone."""
    own = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        WATCHED: "1",
    }
    default = {
        "OMP_NUM_THREADS": str(max(1, _cores() // count)),
        "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
    }
    with note.open("wb") as told:
        return subprocess.Popen(
            argv,
            env={**default, **os.environ, **own},
            stdin=subprocess.PIPE,
            stdout=None if rank == 0 else subprocess.DEVNULL,
            stderr=None if rank == 0 else told,
            start_new_session=True,
        )


def _ends(workers: Sequence[subprocess.Popen[bytes]], asked: list[int]) -> list[int]:
    """Wait until all have ended; once one has failed, for `GRACE_SECONDS` at most."""
    passed, last = 0, None
    while any(worker.poll() is None for worker in workers):
        if len(asked) > passed:
            passed = len(asked)
            for worker in workers:
                worker.send_signal(signal.SIGINT)
        if last is None and any(worker.returncode for worker in workers):
            last = time.monotonic() + GRACE_SECONDS
        if last is not None and time.monotonic() > last:
            _stop(workers)
        time.sleep(0.05)
    return [LOST if code == -signal.SIGTERM and last else code for code in (it.returncode for it in workers)]


def _stop(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    """End those that are still there, firmly if they do not hear."""
    going = [worker for worker in workers if worker.poll() is None]
    for worker in going:
        worker.terminate()
    for worker in going:
        try:
            worker.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


@contextmanager
def _heard(asked: list[int]) -> Iterator[None]:
    """Ctrl-C is counted, to be passed on; a wish to end becomes the end of this process, which ends the workers."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda number, _: asked.append(number)),
        signal.SIGTERM: signal.signal(signal.SIGTERM, end),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fate(codes: Sequence[int]) -> str:
    """Which worker died first, as far as the codes tell, and how."""
    rank = _culprit(codes)
    how = "lost the others" if codes[rank] == LOST else f"ended with code {codes[rank]}"
    if codes[rank] < 0:
        how = f"was killed by {signal.Signals(-codes[rank]).name}"
    return f"worker {rank} of {len(codes)} {how}"


def _culprit(codes: Sequence[int]) -> int:
    """The first worker that failed by itself, else the first that failed."""
    failed = [rank for rank, code in enumerate(codes) if code]
    return next((rank for rank in failed if codes[rank] != LOST), next(iter(failed), 0))


def _port() -> int:
    """A free one of this machine."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
