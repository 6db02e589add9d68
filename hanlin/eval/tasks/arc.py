"""ARC: science questions of American schools, easy or hard. Prompt and scoring as lm-eval's `arc_easy` and
`arc_challenge`."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows of the set (id, question, choices = {text, label}, answerKey); labels are letters or numbers."""
    labels = list(row["choices"]["label"])
    if row["answerKey"] not in labels:
        raise ValueError(f"the answer {row['answerKey']!r} is none of {', '.join(labels)}")
    return Sample(
        id=str(row.get("id", "")),
        prompt=f"Question: {row['question']}\nAnswer:",
        choices=tuple(row["choices"]["text"]),
        gold=(labels.index(row["answerKey"]),),
    )


TASK = Task(
    name="arc",
    kind="choose",
    sample=sample,
    metrics={"acc": {"use": "accuracy"}, "acc_norm": {"use": "accuracy", "by": "characters"}, "ece": {"use": "ece"}},
    licence="CC-BY-SA-4.0",
    source="https://arxiv.org/abs/1803.05457",
    examples=(
        (
            {
                "id": "Mercury_1",
                "question": "Which is a gas?",
                "choices": {"text": ["iron", "helium", "salt"], "label": ["1", "2", "3"]},
                "answerKey": "2",
            },
            Sample(
                id="Mercury_1",
                prompt="Question: Which is a gas?\nAnswer:",
                choices=("iron", "helium", "salt"),
                gold=(1,),
            ),
        ),
    ),
)
