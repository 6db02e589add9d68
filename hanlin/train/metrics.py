"""metrics.jsonl: one `Step` per line, as plain JSON; on a resume, what came after the checkpoint is taken back."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hanlin.core.run import replacing
from hanlin.train.step import Step

NAME = "metrics.jsonl"


class Metrics:
    """Appends steps to a run's file."""

    def __init__(self, run: Path, after: int = 0) -> None:
        """Keep what the file has up to step `after`."""
        self.path = run / NAME
        kept = [line for line in read(run) if line["number"] <= after]
        with replacing(self.path) as sink:
            sink.write("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in kept).encode())

    def add(self, step: Step) -> None:
        """One line."""
        with self.path.open("a", encoding="utf-8") as sink:
            sink.write(f"{json.dumps(_plain(asdict(step)), ensure_ascii=False, allow_nan=False)}\n")


def read(run: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's file, in order; a last line that was cut short is left out."""
    path = run / NAME
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as source:
        for line in source:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict) and isinstance(found.get("number"), int):
                yield found


def _plain(value: Any) -> Any:
    """Numbers that are none as null, which JSON knows."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
