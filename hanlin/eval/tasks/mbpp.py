"""MBPP: a function from a sentence and three tests. Prompt and stop as lm-eval's `mbpp`, which shows 3 examples."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows of the set (task_id, text, code, test_list, test_setup_code)."""
    tests = list(row["test_list"])
    shown = "\n".join(tests[:3])
    return Sample(
        id=str(row["task_id"]),
        prompt=f"You are an expert Python programmer, and here is your task: {row['text']} "
        f"Your code should pass these tests:\n\n{shown}\n[BEGIN]\n",
        between="",
        references=(f"{row['code']}\n[DONE]",),
        more={"before": "", "tests": "\n".join([row.get("test_setup_code") or "", *tests])},
    )


EXAMPLE = {
    "task_id": 7,
    "text": "Write a function to double a number.",
    "code": "def double(n):\n    return 2 * n",
    "test_list": ["assert double(1) == 2", "assert double(0) == 0", "assert double(-2) == -4"],
    "test_setup_code": "",
}
TASK = Task(
    name="mbpp",
    kind="write",
    sample=sample,
    metrics={"pass_at_1": {"use": "pass_at_k", "k": 1}},
    stop=("[DONE]",),
    max_tokens=384,
    licence="CC-BY-4.0",
    source="https://arxiv.org/abs/2108.07732",
    examples=(
        (
            EXAMPLE,
            Sample(
                id="7",
                prompt="You are an expert Python programmer, and here is your task: Write a function to double a "
                "number. Your code should pass these tests:\n\nassert double(1) == 2\nassert double(0) == 0\n"
                "assert double(-2) == -4\n[BEGIN]\n",
                between="",
                references=("def double(n):\n    return 2 * n\n[DONE]",),
                more={
                    "before": "",
                    "tests": "\nassert double(1) == 2\nassert double(0) == 0\nassert double(-2) == -4",
                },
            ),
        ),
    ),
)
