"""Exact match: answers in, the share that equals a reference after both were made plain in the same way out.

The normalisers and their order are lm-eval's: patterns are cut out, then case, punctuation, digits. Full-width forms
and Chinese punctuation are this file's own. `pick` first takes the part that counts out of an answer, such as the
last number; where it finds nothing, the answer is wrong.
"""

import re
import string
import unicodedata
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator

from hanlin.core.settings import Settings
from hanlin.eval.metric import mean_rows, mean_value, need
from hanlin.eval.sample import Reply, Sample

CHINESE = "，。！？；：、“”‘’（）《》〈〉【】「」『』—…·～"


class Metric(Settings):
    """The share of answers that are exactly right."""

    pick: str = ""
    """A pattern; what its first group (else the whole) finds is the answer."""
    which: int = 0
    """Which of several finds: 0 is the first, -1 the last."""
    cut: tuple[str, ...] = Field(default=())
    """Patterns cut out of answer and reference, in this order."""
    case: bool = True
    """Upper and lower case differ."""
    punctuation: bool = True
    """Punctuation counts, ASCII's and Chinese."""
    digits: bool = True
    """Digits count."""
    width: bool = True
    """Full-width and half-width forms differ."""
    strip: bool = False
    """White space around answer and reference is left out."""

    RANGE: ClassVar = (0.0, 1.0)
    IS_HIGHER_BETTER: ClassVar = True
    IS_MEAN: ClassVar = True
    VERSION: ClassVar = "1"
    IDENTITY: ClassVar = (Sample(references=("巴黎 42",)), Reply(texts=("巴黎 42",)), 1.0)

    @field_validator("pick", "cut")
    @classmethod
    def _is_pattern(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for one in (value,) if isinstance(value, str) else value:
            try:
                re.compile(one)
            except re.error as error:
                raise ValueError(f"{one!r} is no pattern: {error}") from None
        return value

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """(right, 1); any of the references will do."""
        need(samples, "references", "exact_match")
        return mean_rows([self._is_right(*pair) for pair in zip(samples, replies, strict=True)])

    def _is_right(self, sample: Sample, reply: Reply) -> float:
        answer = self.picked(reply.text)
        if answer is None or not reply.texts:
            return 0.0
        plain = self.plain(answer)
        return float(any(plain == self.plain(reference) for reference in sample.references))

    def picked(self, text: str) -> str | None:
        """The part of an answer that counts; None where there is none."""
        if not self.pick:
            return text
        found = list(re.finditer(self.pick, text))
        if not found or not -len(found) <= self.which < len(found):
            return None
        one = found[self.which]
        return next((part for part in one.groups() if part is not None), one[0]) if one.groups() else one[0]

    def plain(self, text: str) -> str:
        """A text as it is compared."""
        for pattern in self.cut:
            text = re.sub(pattern, "", text)
        if not self.width:
            text = unicodedata.normalize("NFKC", text)
        if not self.case:
            text = text.lower()
        if not self.punctuation:
            text = text.translate(dict.fromkeys(map(ord, string.punctuation + CHINESE)))
        if not self.digits:
            text = text.translate(dict.fromkeys(map(ord, string.digits)))
        return text.strip() if self.strip else text

    value = staticmethod(mean_value)
