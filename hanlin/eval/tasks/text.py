"""Language modelling: how well a model knows the user's own texts, in lm-eval's windows. Each row or file is a text."""

from collections.abc import Mapping
from typing import Any

from hanlin.eval.sample import Sample
from hanlin.eval.task import Task


def sample(row: Mapping[str, Any]) -> Sample:
    """Rows with the column text; of plain files each line is one."""
    return Sample(references=(row["text"],))


TASK = Task(
    name="text",
    kind="read",
    sample=sample,
    metrics={
        "bits_per_byte": {"use": "perplexity", "per": "bits"},
        "byte_perplexity": {"use": "perplexity", "per": "byte"},
        "word_perplexity": {"use": "perplexity", "per": "word"},
        "perplexity": {"use": "perplexity", "per": "token"},
    },
    source="the user's",
    examples=(({"text": "翰林院"}, Sample(references=("翰林院",))),),
)
