"""GSM8K: word problems with a written way to the answer. Prompt, stops and both ways to read an answer as lm-eval's
`gsm8k`, which shows 5 examples: ask with `--shots 5`.
"""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task

CUT = (",", r"\$", "(?s).*#### ", r"\.$")


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows of the set (question, answer); the number after #### counts."""
    if "#### " not in row["answer"]:
        raise ValueError("its answer has no ####")
    return Sample(prompt=f"Question: {row['question']}\nAnswer:", references=(row["answer"],))


TASK = Task(
    name="gsm8k",
    kind="write",
    sample=sample,
    metrics={
        "strict": {"use": "exact_match", "pick": r"#### (\-?[0-9\.\,]+)", "cut": CUT, "case": False},
        "flexible": {
            "use": "exact_match",
            "pick": r"(-?[$0-9.,]{2,})|(-?[0-9]+)",
            "which": -1,
            "cut": CUT,
            "case": False,
        },
    },
    stop=("Question:", "</s>", "<|im_end|>"),
    max_tokens=256,
    licence="MIT",
    source="https://arxiv.org/abs/2110.14168",
    examples=(
        (
            {"question": "Ann has 2 apples and gets 3. How many?", "answer": "2 + 3 = <<2+3=5>>5\n#### 5"},
            Sample(
                prompt="Question: Ann has 2 apples and gets 3. How many?\nAnswer:",
                references=("2 + 3 = <<2+3=5>>5\n#### 5",),
            ),
        ),
    ),
)
