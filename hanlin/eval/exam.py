"""An exam: a subject and a task in, progress and at the end the scores out. To stop is to stop iterating.

What is answered is kept at once: an exam that was stopped goes on where it was, and one that is asked again costs
nothing. With a budget of minutes the items are asked in random order, so that those that were asked are a fair
sample, and the interval says how far it reaches.
"""

import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hanlin.core.errors import DataError
from hanlin.eval.metric import measure, rows_of, scored
from hanlin.eval.sample import Reply, Sample
from hanlin.eval.score import Score
from hanlin.eval.store import Kept, Store, key
from hanlin.eval.subject import Subject, Unordered
from hanlin.eval.task import Task, readable, samples

ROUND = 64
"""Answers after which they are written down."""


@dataclass(frozen=True)
class Progress:
    """So many answers are there."""

    done: int
    total: int
    known: int
    """Of them, those that had been asked before."""
    seconds: float


@dataclass(frozen=True)
class Result:
    """An exam that is finished, or as far as its budget went."""

    task: str
    model: str
    scores: Mapping[str, Score]
    """By the name that the task gives each."""
    groups: Mapping[str, Mapping[str, Score]]
    """The same for each group of items, where there are any."""
    each: Mapping[str, Sequence[float]] = field(repr=False)
    """Each figure of every item by itself."""
    samples: Sequence[Sample] = field(repr=False)
    replies: Sequence[Reply] = field(repr=False)
    total: int
    """Items there were to ask; more than were asked if the budget ended before."""
    seconds: float
    settings: Mapping[str, Any]
    left_out: Sequence[str] = ()
    """Rows of the data that are no questions, each with the reason."""


def examine(
    subject: Subject,
    task: Task,
    store: Store,
    *,
    limit: int | None = None,
    shots: int = 0,
    minutes: float = math.inf,
    seed: int = 0,
) -> Iterator[Progress | Result]:
    """Progress as answers come; the last is the `Result`.

    Raises:
        DataError: the task's data are missing or wrong, or the budget ended before the first answer.
        CapacityError: an item does not fit the model.
    """
    asked = samples(task, limit, shots, seed)
    began, judges = time.monotonic(), task.judges()
    how = {"max_tokens": task.max_tokens, "stop": task.stop} if task.kind == "write" else {}
    if task.wants_alone:
        how = {"neutral": task.neutral}
    keys = [key(subject.fingerprint, task.kind, sample, **how) for sample in asked]
    found = store.answers(keys)
    known = len(found)
    left = [place for place, one in enumerate(keys) if one not in found]
    if math.isfinite(minutes):
        random.Random(seed).shuffle(left)
    yield Progress(known, len(asked), known, 0.0)
    for begin in range(0, len(left), ROUND):
        places, fresh = left[begin : begin + ROUND], {}
        replies = _asked(subject, task, [asked[place] for place in places])
        try:
            for which, reply in replies:
                fresh[keys[places[which]]] = reply
                seconds = time.monotonic() - began
                yield Progress(len(found) + len(fresh), len(asked), known, seconds)
                if seconds > minutes * 60:
                    break
        finally:  # also when nobody iterates any more
            store.keep(fresh)
        found |= fresh
        if time.monotonic() - began > minutes * 60:
            break
    there = [place for place, one in enumerate(keys) if one in found]
    if not there:
        raise DataError(f"{task.name}: {minutes:g} minutes ended before the first answer", "give more --minutes")
    some, replies = [asked[place] for place in there], [found[keys[place]] for place in there]
    rows = {name: rows_of(judge, some, replies) for name, judge in judges.items()}
    scores = {name: scored(judge, rows[name], some, seed) for name, judge in judges.items()}
    each = {name: judge.value(rows[name]).tolist() for name, judge in judges.items()}
    groups = _groups(judges, some, replies)
    settings = {"data": task.data, "version": task.version, "limit": limit, "shots": shots, "seed": seed}
    settings |= {"form": subject.form} | ({"file": task.file} if task.file else {})
    told = [{"name": name, **asdict(score)} for name, score in scores.items()]
    store.keep_exam(Kept(subject.name, task.name, settings, time.time(), told, some, replies))
    seconds = time.monotonic() - began
    bad = [it.what for it in readable(task) if isinstance(it, DataError)] if task.most_bad else []
    yield Result(task.name, subject.name, scores, groups, each, some, replies, len(asked), seconds, settings, bad)


def _asked(subject: Subject, task: Task, some: Sequence[Sample]) -> Iterator[tuple[int, Reply]]:
    """Places and replies, as they come."""
    how: dict[str, Any] = {}
    if task.kind == "choose":
        how = {"neutral": task.neutral if task.wants_alone else None}
    if task.kind == "write":
        how = {"max_tokens": task.max_tokens, "stop": task.stop}
    if isinstance(subject, Unordered):
        return subject.as_they_come(task.kind, some, **how)
    ask = {"choose": subject.choose, "write": subject.write, "read": subject.read}[task.kind]
    return enumerate(ask(some, **how))


def _groups(judges: Mapping[str, Any], some: Sequence[Sample], replies: Sequence[Reply]) -> dict[str, dict[str, Score]]:
    names = sorted({sample.group for sample in some} - {""})
    found = {}
    for name in names:
        places = [place for place, sample in enumerate(some) if sample.group == name]
        mine, theirs = [some[place] for place in places], [replies[place] for place in places]
        found[name] = {label: measure(judge, mine, theirs) for label, judge in judges.items()}
    return found
