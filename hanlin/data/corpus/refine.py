"""A run file in, clean shards out; every event on the way is yielded.

The run's folder:

    run.toml                 the resolved settings
    parts/*.parquet          what was measured of every document, with its text: the base of every decision
    decisions.parquet        document → reason, cluster, split, copies
    train/, validation/, test/   the shards
    report.html, summary.json    what went and why
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from hanlin.core import lineage
from hanlin.core.errors import DataError
from hanlin.core.machine import allowed_cores
from hanlin.core.run import Run, replacing
from hanlin.data.corpus.crew import Progress, alone, together
from hanlin.data.corpus.decide import SPLITS, Decision, decide
from hanlin.data.corpus.explain import summary
from hanlin.data.corpus.index import Index
from hanlin.data.corpus.kinds import kinds
from hanlin.data.corpus.mixture import Mixture, mixed
from hanlin.data.corpus.report import write_report
from hanlin.data.corpus.settings import CorpusSettings
from hanlin.data.corpus.store import Store
from hanlin.data.corpus.task import Task, fingerprint, said, tasks
from hanlin.data.corpus.write import Written, shards
from hanlin.data.files import left_out
from hanlin.data.step import opened

Crew = Callable[[Sequence[Task], CorpusSettings, Path], Iterator[Progress]]
"""Who does the tasks: a cluster, given by the caller, or None for the processes of this machine."""


@dataclass(frozen=True)
class Began:
    """What there is to do."""

    tasks: int
    done: int
    """Of these, done by an earlier run."""
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Refined:
    """What came of it."""

    store: Store
    decision: Decision
    mixture: Mixture
    written: tuple[Written, ...]


Event = Began | Progress | Written | Refined


def refine(settings: CorpusSettings, crew: Crew | None = None) -> Iterator[Event]:
    """Measure what is not measured yet, decide, write; the last event is what came of it.

    Raises:
        ConfigError: a setting is wrong.
        DataError: there is no file to read, or nothing stays.
        CapacityError: the disk is full, or workers die again and again.
    """
    steps, out = opened(settings.steps), Path(settings.out)
    found = tasks(settings.sources)
    run = Run(out, settings)
    folder = out / "parts"
    notes = [said(settings)] if settings.duplicates.near else []
    beside = [(origin.path, left_out(origin, kinds())) for origin in settings.sources]
    notes += [f"{path} has files of no kind that can be read, which are left out: {it}" for path, it in beside if it]
    notes += _cleared(folder, fingerprint(settings, steps), found)
    left = [task for task in found if not (folder / f"{task.stem}.done").exists()]
    yield Began(len(found), len(found) - len(left), tuple(notes))
    for progress in _done(left, settings, folder, crew):
        if progress.note:
            run.log({"note": progress.note})
        yield progress
    store = Store(folder)
    decision = decide(store, settings, steps)
    mixture = mixed(store, decision, settings)
    keep(out / "decisions.parquet", decision, mixture)
    written = []
    for shard in shards(store, decision, mixture, settings, out):
        written.append(shard)
        yield shard
    if not written:
        raise DataError(f"nothing stays of {len(store):,} documents", f"see why: hanlin data explain {settings.out}")
    if settings.duplicates.index:
        Index(settings.duplicates.index).remember(store, settings.name, settings.duplicates, decision.is_kept)
    _recorded(out, found, settings)
    told = summary(store, decision, mixture, settings)
    run.write("summary.json", orjson.dumps(told, option=orjson.OPT_INDENT_2))
    write_report(told, store, decision, settings, steps)
    yield Refined(store, decision, mixture, tuple(written))


def _done(left: list[Task], settings: CorpusSettings, folder: Path, crew: Crew | None) -> Iterator[Progress]:
    if crew is not None:
        return crew(left, settings, folder)
    workers = min(settings.workers or allowed_cores().count, len(left))
    if workers <= 1:
        return alone(left, settings, folder)
    return together(left, settings, folder, workers)


def _cleared(folder: Path, way: str, found: Sequence[Task]) -> list[str]:
    """Throw away what was measured in another way, or of files that have changed since; say so."""
    state, notes = folder / "way", []
    if folder.exists() and (not state.exists() or state.read_text() != way):
        count = len(list(folder.glob("*.parquet")))
        shutil.rmtree(folder)
        if count:
            notes.append("sources or steps have changed since: everything is measured again")
    folder.mkdir(parents=True, exist_ok=True)
    if not state.exists():
        with replacing(state) as sink:
            sink.write(way.encode())
    known = {task.stem for task in found}
    numbers = {f"{task.number:06}": task for task in found}
    for path in sorted([*folder.glob("*.begun"), *folder.glob("*.done")]):
        was = orjson.loads(path.read_bytes())["files"] if path.exists() else []
        if path.stem in known and was == numbers[path.stem[:6]].mark():
            continue
        if path.suffix == ".done" and was:
            others = f" or one of {len(was) - 1:,} more" if len(was) > 1 else ""
            notes.append(f"{was[0].partition('|')[0]}{others} has changed: it is measured again")
        for part in [*folder.glob(f"{path.stem[:6]}-*")]:
            part.unlink()
    for part in folder.glob("*.parquet"):
        if part.name[:6] not in numbers:
            part.unlink()
    return notes


def keep(path: Path, decision: Decision, mixture: Mixture) -> None:
    """Write down what was decided of each document, in their order."""
    names = pa.array(decision.names)
    table = pa.table(
        {
            "reason": pa.DictionaryArray.from_arrays(pa.array(decision.reasons.astype("int32")), names),
            "cluster": decision.clusters,
            "split": pa.array([SPLITS[at] if at >= 0 else "" for at in decision.splits.tolist()]),
            "copies": mixture.copies,
        }
    )
    with replacing(path) as sink:
        pq.write_table(table, sink, compression="zstd")


def _recorded(out: Path, found: Sequence[Task], settings: CorpusSettings) -> None:
    """Which files each split comes from, by hash."""
    parents: dict[str, lineage.Lineage] = {}
    for at, origin in enumerate(settings.sources):
        files = dict.fromkeys(file for task in found if task.source == at for file in task.files)
        name = origin.name or f"sources[{at}]"
        whole = lineage.files_hash({file.name: file.path for file in files})
        parents[name] = lineage.Lineage(name, whole, "data", facts={"path": origin.path, "files": len(files)})
    for split in SPLITS:
        if (out / split).is_dir():
            lineage.record(out / split, "data", parents, {"run": settings.name, "seed": settings.seed})
