"""Tasks in, measured parts out, by this process or by several; which one does what makes no difference to the result.

A worker that dies is replaced. Its task is done again with care, by writing down where it stands, and the document that
kills it again is refused.
"""

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from hanlin.core.errors import CapacityError, HanlinError
from hanlin.core.settings import parse
from hanlin.data.corpus.measure import Care, measure
from hanlin.data.corpus.settings import CorpusSettings
from hanlin.data.corpus.task import Task
from hanlin.data.step import opened

MOST_DEATHS = 100
"""Of one task; then something else is wrong than a few documents."""


@dataclass(frozen=True)
class Progress:
    """Something was done."""

    task: Task
    documents: int = 0
    """Measured, or found measured."""
    is_done: bool = False
    note: str = ""
    """What the user is to know."""


def alone(tasks: Sequence[Task], settings: CorpusSettings, folder: Path) -> Iterator[Progress]:
    """All tasks in this process. A document that kills it is refused when the run is started again."""
    steps = opened(settings.steps)
    for task in tasks:
        care = after_death(task, folder, Care()) if (folder / f"{task.stem}.at").exists() else Care()
        for documents in measure(task, settings, steps, folder, care):
            yield Progress(task, documents)
        yield Progress(task, is_done=True)


def together(tasks: Sequence[Task], settings: CorpusSettings, folder: Path, workers: int) -> Iterator[Progress]:
    """All tasks by so many processes.

    Raises:
        HanlinError: what a worker raised that is not about a document, such as a full disk.
        CapacityError: workers die again and again.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(tasks))
    cares: dict[Task, Care] = {}
    deaths: dict[Task, int] = {}
    crew: dict[Connection, tuple[Any, Task]] = {}
    spare: list[tuple[Any, Connection]] = []
    plain = settings.model_dump(mode="json")
    try:
        while waiting or crew:
            while waiting and len(crew) < workers:
                task = waiting.pop()
                process, pipe = spare.pop() if spare else _started(context, plain, folder)
                pipe.send((task, cares.get(task, Care())))
                crew[pipe] = process, task
            for pipe in wait(list(crew)):
                assert isinstance(pipe, Connection)
                process, task = crew[pipe]
                try:
                    said = pipe.recv()
                except (EOFError, OSError):
                    process.join()
                    del crew[pipe]
                    cares[task], note = _mourned(task, folder, cares.get(task), deaths, process.exitcode)
                    waiting.append(task)
                    yield Progress(task, note=note)
                    continue
                if isinstance(said, HanlinError):
                    raise said
                yield Progress(task, said or 0, is_done=said is None)
                if said is None:
                    spare.append((process, pipe))
                    del crew[pipe]
    finally:
        for process, pipe in [*((process, pipe) for pipe, (process, _) in crew.items()), *spare]:
            pipe.close()
            process.kill()
            process.join()


def _started(context: Any, settings: dict[str, Any], folder: Path) -> tuple[Any, Connection]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_worker, args=(theirs, settings, folder), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _worker(pipe: Connection, plain: dict[str, Any], folder: Path) -> None:
    """Do what is sent: documents of each part are told, None at the end of a task."""
    settings = parse(CorpusSettings, plain)
    steps = opened(settings.steps)
    while True:
        try:
            task, care = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            for documents in measure(task, settings, steps, folder, care):
                pipe.send(documents)
            pipe.send(None)
        except HanlinError as error:
            pipe.send(type(error)(error.what, error.fix))
        except (BrokenPipeError, KeyboardInterrupt):
            return


def _mourned(
    task: Task, folder: Path, care: Care | None, deaths: dict[Task, int], code: int | None
) -> tuple[Care, str]:
    """How a task is to be done again, and what to say."""
    deaths[task] = deaths.get(task, 0) + 1
    if deaths[task] > MOST_DEATHS:
        what = f"{task.name}: {MOST_DEATHS} workers died of it, the last with exit status {code}"
        raise CapacityError(what, "leave the file out, or give the machine more memory")
    if care is None:
        return Care(is_careful=True), f"a worker died (exit status {code}) at {task.name}; it is done again with care"
    found = after_death(task, folder, care)
    which = max((found.deadly | found.unreadable) - care.deadly - care.unreadable, default=0)
    return found, f"document {which} of {task.name} kills what measures it (exit status {code}); it is refused"


def after_death(task: Task, folder: Path, care: Care) -> Care:
    """What is to be left out, by where the dead worker stood."""
    try:
        what, _, place = (folder / f"{task.stem}.at").read_text().partition(" ")
        number = int(place)
    except (OSError, ValueError):
        return replace(care, is_careful=True)
    if what == "read":
        return replace(care, is_careful=True, unreadable=care.unreadable | {number})
    return replace(care, is_careful=True, deadly=care.deadly | {number})
