"""ROUGE: summaries in, the overlap of words with a reference out; scored by the library rouge-score.

`which` is 1, 2 (n-grams), l (longest common subsequence) or lsum (the same by lines, as papers report it). The
library's own tokenizer drops everything but a-z and 0-9, so a Chinese text scores 0 even against itself; ours gives
the same words on ASCII text and takes every other language too. (Lin 2004)
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import model_validator

from hanlin.core.settings import Settings
from hanlin.eval.metric import library, mean_rows, mean_value, need
from hanlin.eval.sample import Reply, Sample
from hanlin.eval.words import words

NAMES = {"1": "rouge1", "2": "rouge2", "l": "rougeL", "lsum": "rougeLsum"}


class Metric(Settings):
    """Overlap with the best of the references, 0 to 1."""

    which: Literal["1", "2", "l", "lsum"] = "l"
    """1, 2, l, or lsum."""
    part: Literal["f", "precision", "recall"] = "f"
    """f is the harmonic mean of the other two."""
    words: Literal["any", "rouge-score"] = "any"
    """any takes all languages; rouge-score is the library's own, for figures that are to match others'."""
    stem: bool = False
    """Porter's stemmer for English words of more than three letters; of rouge-score's words only."""

    RANGE: ClassVar = (0.0, 1.0)
    IS_HIGHER_BETTER: ClassVar = True
    IS_MEAN: ClassVar = True
    VERSION: ClassVar = library("rouge_score")
    IDENTITY: ClassVar = (
        Sample(references=("翰林院 was an academy.\n它在北京。",)),
        Reply(texts=("翰林院 was an academy.\n它在北京。",)),
        1.0,
    )

    @model_validator(mode="after")
    def _stems_what_it_can(self) -> "Metric":
        if self.stem and self.words == "any":
            raise ValueError('stem = true needs words = "rouge-score"')
        return self

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(overlap, 1); of several references the one with the best F counts."""
        from rouge_score.rouge_scorer import RougeScorer

        need(samples, "references", "rouge")
        name = NAMES[self.which]
        tokenizer = _Words() if self.words == "any" else None
        scorer = RougeScorer([name], use_stemmer=self.stem, tokenizer=tokenizer)
        part = {"f": "fmeasure"}.get(self.part, self.part)
        return mean_rows(
            [
                float(getattr(scorer.score_multi(list(sample.references), reply.text)[name], part))
                for sample, reply in zip(samples, replies, strict=True)
            ]
        )

    value = staticmethod(mean_value)


class _Words:
    """What the library wants a tokenizer to be."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)
