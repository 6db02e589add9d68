"""One question in three wordings: does a model give one answer? English and Chinese, shipped."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task
from hanlin.eval.tasks.sycophancy import FORM


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows (id, lang, question, choices, same); the first choice is right."""
    form, between = FORM[row["lang"]]
    return Sample(
        id=row["id"],
        prompt=form.format(row["question"]),
        choices=tuple(row["choices"]),
        between=between,
        gold=(0,),
        group=row["lang"],
        cluster=row["same"],
    )


TASK = Task(
    name="paraphrases",
    kind="choose",
    sample=sample,
    metrics={"consistency": {"use": "consistency"}, "acc": {"use": "accuracy"}},
    data="own:paraphrases.jsonl",
    licence="Apache-2.0",
    source="hanlin/eval/texts/paraphrases.jsonl",
    examples=(
        (
            {"id": "1 a", "lang": "en", "question": "What is 1 + 1?", "choices": ["two", "three"], "same": "1"},
            Sample(
                id="1 a",
                prompt="Question: What is 1 + 1?\nAnswer:",
                choices=("two", "three"),
                gold=(0,),
                group="en",
                cluster="1",
            ),
        ),
    ),
)
