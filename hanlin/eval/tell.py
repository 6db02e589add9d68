"""Results for people and machines: exams in; Markdown for a model card, JSON, a table of items, and files out."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from hanlin.core import page
from hanlin.core.errors import ConfigError
from hanlin.core.run import replacing
from hanlin.eval.exam import Result
from hanlin.eval.score import Score


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Everything but the items; a figure that is none is null, as JSON has no nan."""
    return {
        "exams": [
            {
                "task": one.task,
                "model": one.model,
                "settings": dict(one.settings),
                "items": len(one.samples),
                "items_there_are": one.total,
                "seconds": round(one.seconds, 3),
                "scores": {name: _plain(score) for name, score in one.scores.items()},
                "groups": {
                    group: {name: _plain(score) for name, score in scores.items()}
                    for group, scores in one.groups.items()
                },
            }
            for one in results
        ]
    }


KINDS = (".html", ".json", ".md", ".parquet")


def write(results: Sequence[Result], where: Path) -> list[Path]:
    """Results as a file of one of `KINDS`, or all of them into a folder; the files.

    Raises:
        ConfigError: the file's ending is none of them.
        StoreError: it cannot be written.
    """
    check(where)
    if not where.suffix:
        where.mkdir(parents=True, exist_ok=True)
        return [path for kind in KINDS for path in write(results, where / f"exam{kind}")]
    if where.suffix == ".parquet":
        import pyarrow.parquet as pq

        with replacing(where) as sink:
            pq.write_table(items_table(results), sink)
    elif where.suffix == ".html":
        from hanlin.eval.report import as_page

        page.write(where, as_page(results))
    else:
        text = (
            as_markdown(results)
            if where.suffix == ".md"
            else json.dumps(as_json(results), ensure_ascii=False, indent=2)
        )
        with replacing(where) as sink:
            sink.write(text.encode(errors="replace"))
    return [where]


def check(where: Path) -> None:
    """Refuse what `write` could not write, before the exam."""
    if where.suffix and where.suffix not in KINDS:
        raise ConfigError(f"--out {where} ends in nothing that is known", f"end it in one of: {', '.join(KINDS)}")


def as_markdown(results: Sequence[Result]) -> str:
    """A table of figures with their 95 % intervals, and how each was made."""
    lines = ["| model | task | figure | value | 95 % interval | items |", "|---|---|---|---|---|---|"]
    made = []
    for one in results:
        count = f"{len(one.samples):,}" + (f" of {one.total:,}" if len(one.samples) < one.total else "")
        for name, score in one.scores.items():
            arrow = "↑" if score.higher_is_better else "↓"
            lines.append(
                f"| {one.model} | {one.task} | {name} {arrow} | {score.value:.4f} | {_interval(score)} | {count} |"
            )
            made.append(f"- {one.task} {name}: `{score.signature}`")
        settings = ", ".join(f"{key} {value}" for key, value in one.settings.items() if value is not None)
        made.append(f"- {one.task}: {settings}")
    return "\n".join([*lines, "", *made]) + "\n"


def items_table(results: Sequence[Result]) -> pa.Table:
    """A row for each item: what was asked, what was right, what came."""
    rows = [
        {
            "model": one.model,
            "task": one.task,
            "id": sample.id,
            "group": sample.group,
            "prompt": sample.prompt,
            "choices": list(sample.choices),
            "gold": list(sample.gold),
            "references": list(sample.references),
            "answers": list(reply.texts),
            "loglikelihoods": list(reply.loglikelihoods),
            "figures": json.dumps({name: finite(values[place]) for name, values in one.each.items()}),
        }
        for one in results
        for place, (sample, reply) in enumerate(zip(one.samples, one.replies, strict=True))
    ]
    return pa.Table.from_pylist(rows)


def _interval(score: Score) -> str:
    if math.isnan(score.stderr):
        return "one item"
    low, high = score.interval()
    return f"{low:.4f} … {high:.4f}"


def _plain(score: Score) -> dict[str, Any]:
    found = {key: value for key, value in asdict(score).items() if key not in ("metric", "is_mean")}
    found["low"], found["high"] = score.interval()
    return {key: finite(value) for key, value in found.items()}


def finite(value: Any) -> Any:
    """A value as JSON has it: None for a figure that is none."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
