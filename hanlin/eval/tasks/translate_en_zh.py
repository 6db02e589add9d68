"""English into Chinese: columns `en` and `zh` of the user's own file; judged by BLEU as sacreBLEU has it for
Chinese."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows (en, zh)."""
    return Sample(prompt=f"English: {row['en']}\nChinese (中文):", references=(row["zh"],))


TASK = Task(
    name="translate_en_zh",
    kind="write",
    sample=sample,
    metrics={"bleu": {"use": "bleu", "words": "zh"}, "chrf": {"use": "chrf"}},
    stop=("\n",),
    max_tokens=128,
    source="the user's",
    examples=(({"en": "Help", "zh": "帮助"}, Sample(prompt="English: Help\nChinese (中文):", references=("帮助",))),),
)
