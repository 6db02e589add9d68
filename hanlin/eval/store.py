"""Answers and exams, kept in one database: what has been asked is not asked again, and what was found can be compared.

An answer's key is a hash of the model's fingerprint, the question and how it was put; an exam's row has its items, so
that `hanlin compare` needs no model.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Float, Integer, LargeBinary, MetaData, String, Table, Text, insert, select

from hanlin.core.database import connect
from hanlin.core.home import home
from hanlin.eval.sample import Reply, Sample

TABLES = MetaData()
ANSWERS = Table("answers", TABLES, Column("key", LargeBinary, primary_key=True), Column("reply", Text, nullable=False))
EXAMS = Table(
    "exams",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("model", String, nullable=False, index=True),
    Column("task", String, nullable=False),
    Column("settings", Text, nullable=False),
    Column("made", Float, nullable=False),
    Column("scores", Text, nullable=False),
    Column("items", Text, nullable=False),
)


@dataclass(frozen=True)
class Kept:
    """An exam as it was kept."""

    model: str
    task: str
    settings: Mapping[str, Any]
    """How it was put: data, limit, examples shown, form."""
    made: float
    """Seconds since 1970."""
    scores: Sequence[Mapping[str, Any]]
    samples: Sequence[Sample]
    replies: Sequence[Reply]


class Store:
    """The database, by default `exams.sqlite` of Hanlin's own folder."""

    def __init__(self, where: str | Path = "") -> None:
        self.engine = connect(where or home() / "exams.sqlite", TABLES)

    def answers(self, keys: Sequence[bytes]) -> dict[bytes, Reply]:
        """Those that are known."""
        found: dict[bytes, Reply] = {}
        with self.engine.connect() as door:
            for place in range(0, len(keys), 500):
                some = select(ANSWERS).where(ANSWERS.c.key.in_(keys[place : place + 500]))
                found |= {row.key: reply_from(json.loads(row.reply)) for row in door.execute(some)}
        return found

    def keep(self, answers: Mapping[bytes, Reply]) -> None:
        """Write answers; those that another process wrote meanwhile stay."""
        with self.engine.begin() as door:
            known = set(door.execute(select(ANSWERS.c.key).where(ANSWERS.c.key.in_(answers))).scalars())
            rows = [{"key": key, "reply": _text(reply)} for key, reply in answers.items() if key not in known]
            if rows:
                door.execute(insert(ANSWERS), rows)

    def keep_exam(self, exam: Kept) -> None:
        """Write a finished exam."""
        pairs = [[asdict(sample), asdict(reply)] for sample, reply in zip(exam.samples, exam.replies, strict=True)]
        row = {"model": exam.model, "task": exam.task, "made": exam.made or time.time()}
        row |= {"settings": json.dumps(exam.settings, sort_keys=True), "scores": json.dumps(exam.scores)}
        with self.engine.begin() as door:
            door.execute(insert(EXAMS), [{**row, "items": json.dumps(pairs, ensure_ascii=False, default=str)}])

    def last(self, model: str) -> dict[str, Kept]:
        """The last exam of a model in each task and setting: `{"boolq {…}": exam}`."""
        asked = select(EXAMS).where(EXAMS.c.model == model).order_by(EXAMS.c.id)
        with self.engine.connect() as door:
            return {f"{row.task} {row.settings}": _kept(row) for row in door.execute(asked)}

    def models(self) -> list[str]:
        """Names that exams are kept under."""
        with self.engine.connect() as door:
            return sorted(door.execute(select(EXAMS.c.model).distinct()).scalars())


def key(fingerprint: str, kind: str, sample: Sample, **how: Any) -> bytes:
    """Of an answer: all that it depends on."""
    asked = [fingerprint, kind, sample.prompt, sample.choices, sample.between, how]
    if kind == "read":
        asked.append(sample.references)
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode("utf-8", "surrogatepass")).digest()


def reply_from(value: Mapping[str, Any]) -> Reply:
    """A reply as JSON has it."""
    return Reply(**{name: tuple(part) for name, part in value.items()})


def _text(reply: Reply) -> str:
    return json.dumps(asdict(reply), ensure_ascii=True)


def _kept(row: Any) -> Kept:
    pairs = json.loads(row.items)
    samples = [_sample(one) for one, _ in pairs]
    replies = [reply_from(other) for _, other in pairs]
    settings, scores = json.loads(row.settings), json.loads(row.scores)
    return Kept(row.model, row.task, settings, row.made, scores, samples, replies)


def _sample(value: Mapping[str, Any]) -> Sample:
    lists = {name: tuple(value[name]) for name in ("choices", "gold", "references")}
    return Sample(**{**value, **lists})
