"""HellaSwag: how does a scene go on? Prompt and scoring as lm-eval's `hellaswag`."""

import re
from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows of the set (activity_label, ctx_a, ctx_b, endings, label); its test set has no labels."""
    if str(row["label"]) == "":
        raise ValueError("it has no label: take the validation set")
    scene = f"{row['ctx_a']} {row['ctx_b'].capitalize()}"
    return Sample(
        prompt=plain(f"{row['activity_label']}: {scene}"),
        choices=tuple(plain(ending) for ending in row["endings"]),
        gold=(int(row["label"]),),
        group=str(row.get("split_type", "")),
        cluster=str(row.get("source_id", "")),
    )


def plain(text: str) -> str:
    """Without the marks that WikiHow left."""
    return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")


TASK = Task(
    name="hellaswag",
    kind="choose",
    sample=sample,
    metrics={"acc": {"use": "accuracy"}, "acc_norm": {"use": "accuracy", "by": "characters"}},
    licence="MIT",
    source="https://arxiv.org/abs/1905.07830",
    examples=(
        (
            {
                "activity_label": "Baking",
                "ctx_a": "A man opens an oven.",
                "ctx_b": "he",
                "endings": ["takes out a cake.", "[step] flies away."],
                "label": "0",
            },
            Sample(prompt="Baking: A man opens an oven. He", choices=("takes out a cake.", " flies away."), gold=(0,)),
        ),
    ),
)
