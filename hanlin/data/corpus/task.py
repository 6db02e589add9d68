"""The work of a corpus run, cut into tasks that depend on nothing but the files: some small ones, or a share of a large
one. A share has every k-th part of its file, so that the parts, and with them all that follows, are the same for any
number of workers.
"""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import xxhash

from hanlin.data.corpus.kinds import kinds
from hanlin.data.corpus.settings import CorpusSettings, OriginSettings
from hanlin.data.files import files
from hanlin.data.near import recall
from hanlin.data.opened import File
from hanlin.data.step import Step

MEASURING = ("hanlin.data.view", "hanlin.data.marks", "hanlin.data.near", "hanlin.data.corpus.measure")
"""Code that what is measured depends on, beside the steps' own."""
SHARE_BYTES = 32 << 20
GROUP_BYTES = 8 << 20
GROUP_FILES = 200
MOST_SHARES = 64


@dataclass(frozen=True)
class Task:
    """Read files and measure their parts number `share`, `share + shares`, …"""

    number: int
    """Of these files among all of the run."""
    source: int
    files: tuple[File, ...]
    share: int = 0
    shares: int = 1

    @property
    def stem(self) -> str:
        """What its marker is called."""
        return f"{self.number:06}-{self.share:02}"

    @property
    def name(self) -> str:
        """For people."""
        return self.files[0].name + (f" and {len(self.files) - 1:,} more" if len(self.files) > 1 else "")

    def part(self, number: int) -> str:
        """What a part is called; parts in the order of their names are in the order of the documents."""
        return f"{self.number:06}-{number:06}.parquet"

    def mark(self) -> list[str]:
        """What tells that these are the files that were measured."""
        return [mark(file) for file in self.files]


def tasks(origins: Sequence[OriginSettings]) -> list[Task]:
    """All tasks, in order.

    Raises:
        DataError: a source has no file.
    """
    found: list[Task] = []
    number = 0
    for source, origin in enumerate(origins):
        for group in _groups(files(origin, kinds())):
            shares = min(MOST_SHARES, max(1, _size(group[0]) // SHARE_BYTES)) if len(group) == 1 else 1
            found += [Task(number, source, group, share, shares) for share in range(shares)]
            number += 1
    return found


def _groups(found: Sequence[File]) -> Iterator[tuple[File, ...]]:
    """Small files in a row; a large one by itself."""
    group: list[File] = []
    total = 0
    for file in found:
        size = _size(file)
        if group and (total + size > GROUP_BYTES or len(group) == GROUP_FILES):
            yield tuple(group)
            group, total = [], 0
        group.append(file)
        total += size
    if group:
        yield tuple(group)


def _size(file: File) -> int:
    try:
        return file.path.stat().st_size
    except OSError:
        return 0


def fingerprint(settings: CorpusSettings, steps: Sequence[Step]) -> str:
    """A hash of everything that what is measured depends on; bounds, mixture and split are no part of it."""
    twice = settings.duplicates
    measured = {
        "code": [code(importlib.import_module(name).__file__) for name in MEASURING],
        "sources": [origin.model_dump(mode="json", exclude={"weight", "epochs"}) for origin in settings.sources],
        "steps": [
            {"code": [code(path) for path in (_file(step), *step.basis())], **measured_by(step)} for step in steps
        ],
        "duplicates": twice.model_dump(include={"words", "bands", "rows", "seed", "compat", "passage_words"})
        | {"near": twice.near, "passages": twice.passages is not None, "least": twice.least_characters}
        | {"lines": twice.lines is not None, "paragraphs": twice.paragraphs is not None},
        "parts": [settings.part_documents, settings.limit],
    }
    return xxhash.xxh3_128_hexdigest(orjson.dumps(measured, option=orjson.OPT_SORT_KEYS))


def code(path: str | None) -> str:
    """A hash of a source file."""
    try:
        return xxhash.xxh3_128_hexdigest(Path(path or "").read_bytes())
    except OSError:
        return ""


def _file(step: Step) -> str | None:
    """Where its own methods stand; a step from a path is no module that Python knows."""
    methods = (getattr(value, "__code__", None) for value in vars(type(step)).values())
    return next((method.co_filename for method in methods if method), None)


def measured_by(step: Step) -> dict[str, object]:
    """The settings of a step that are no bounds."""
    rules = {rule.name for rule in step.rules()}
    dumped = step.model_dump(mode="json")
    return {key: value for key, value in dumped.items() if not key.startswith(("min_", "max_")) and key not in rules}


def mark(file: File) -> str:
    """What tells that a file is the one that was measured."""
    try:
        about = Path(file.path).stat()
    except OSError:
        return file.name
    return f"{file.name}|{about.st_size}|{about.st_mtime_ns}"


def said(settings: CorpusSettings) -> str:
    """What the signature finds, in words."""
    twice = settings.duplicates
    found = ", ".join(f"{100 * recall(s, twice.bands, twice.rows):.0f} % at {s}" for s in (0.6, 0.7, 0.8, 0.9))
    return f"near duplicates: {twice.bands} bands of {twice.rows}, {twice.words} words; found by similarity: {found}"
