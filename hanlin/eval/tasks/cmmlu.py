"""CMMLU: questions of 67 subjects, many of them Chinese alone, four choices, answered by a letter. Prompt and scoring
as lm-eval's `cmmlu`, without the line that names the subject.
"""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import LETTERS, Task


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows of the set (Question, A, B, C, D, Answer), with the column `subject` where there is one."""
    if row["Answer"] not in LETTERS[:4]:
        raise ValueError(f"the answer {row['Answer']!r} is no letter from A to D")
    options = "\n".join(f"{letter}. {row[letter]}" for letter in LETTERS[:4])
    return Sample(
        prompt=f"{row['Question'].strip()}\n{options}\n答案：",
        choices=tuple(LETTERS[:4]),
        gold=(LETTERS.index(row["Answer"]),),
        group=str(row.get("subject", "")),
    )


TASK = Task(
    name="cmmlu",
    kind="choose",
    sample=sample,
    metrics={"acc": {"use": "accuracy"}, "ece": {"use": "ece"}, "brier": {"use": "brier"}},
    licence="CC-BY-NC-4.0",
    source="https://arxiv.org/abs/2306.09212",
    examples=(
        (
            {"Question": "水的化学式是 ", "A": "CO2", "B": "H2O", "C": "O2", "D": "N2", "Answer": "B"},
            Sample(
                prompt="水的化学式是\nA. CO2\nB. H2O\nC. O2\nD. N2\n答案：",
                choices=("A", "B", "C", "D"),
                gold=(1,),
            ),
        ),
    ),
)
