"""Chinese into English: columns `zh` and `en` of the user's own file; judged by BLEU and chrF."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows (en, zh)."""
    return Sample(prompt=f"Chinese (中文): {row['zh']}\nEnglish:", references=(row["en"],))


TASK = Task(
    name="translate_zh_en",
    kind="write",
    sample=sample,
    metrics={"bleu": {"use": "bleu", "words": "13a"}, "chrf": {"use": "chrf"}},
    stop=("\n",),
    max_tokens=128,
    source="the user's",
    examples=(({"en": "Help", "zh": "帮助"}, Sample(prompt="Chinese (中文): 帮助\nEnglish:", references=("Help",))),),
)
