"""Agreement beyond chance: labels that two or more raters gave to the same items in, κ or α out; 1 is full agreement.

The model is one rater (`Reply.text`), `Sample.references` are the others, "" a label that is missing. Cohen's κ is of
the model and the first reference; "quadratic" and "linear" weigh a disagreement by the distance of the labels in
their order. Krippendorff's α takes any number of raters with gaps: nominal, ordinal, or interval labels, which are
whole numbers. (Cohen 1960, 1968; Krippendorff 2011, https://repository.upenn.edu/handle/20.500.14332/2089)
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from hanlin.core.errors import DataError, shown
from hanlin.core.settings import Settings
from hanlin.eval.metric import need, ratio
from hanlin.eval.sample import Reply, Sample

MOST_LABELS = 200


class Metric(Settings):
    """κ or α."""

    which: Literal["cohen", "linear", "quadratic", "nominal", "ordinal", "interval"] = "cohen"
    """The first three are Cohen's κ, unweighted or weighted; the others Krippendorff's α at that level."""

    RANGE: ClassVar = (-1.0, 1.0)
    IS_HIGHER_BETTER: ClassVar = True
    VERSION: ClassVar = "1"
    IDENTITY: ClassVar = None

    @property
    def _is_alpha(self) -> bool:
        return self.which in ("nominal", "ordinal", "interval")

    def statistics(self, samples: Sequence[Sample], replies: Sequence[Reply]) -> np.ndarray:
        """Of κ which pair of labels an item got, of α its coincidences; a matrix of labels, laid flat."""
        need(samples, "references", "agreement")
        rated = [
            (reply.text.strip(), *(one.strip() for one in sample.references))
            for sample, reply in zip(samples, replies, strict=True)
        ]
        if not self._is_alpha:
            rated = [labels[:2] for labels in rated]
            rated = [labels if all(labels) else () for labels in rated]
        known = self._labels({label for labels in rated for label in labels if label})
        size = max(known.values(), default=0) + 1
        rows = np.zeros((len(samples), size, size))
        for row, labels in zip(rows, rated, strict=True):
            places = [known[label] for label in labels if label]
            for one, first in enumerate(places):
                for other, second in enumerate(places):
                    if self._is_alpha and one != other:
                        row[first, second] += 1 / (len(places) - 1)
                    elif not self._is_alpha and (one, other) == (0, 1):
                        row[first, second] += 1
        return rows.reshape(len(rows), -1)

    def _labels(self, found: set[str]) -> dict[str, int]:
        """The place of each label: by its number where all are numbers, else by its letters."""
        try:
            values = {label: float(label) for label in found}
        except ValueError:
            if self.which == "interval":
                odd = next(label for label in sorted(found) if not label.lstrip("-").isdigit())
                raise DataError(f"the label {shown(odd)} is no number", "choose nominal") from None
            return _few({label: place for place, label in enumerate(sorted(found))})
        if self.which == "interval" and found:
            odd = [label for label, value in values.items() if value != int(value)]
            if odd:
                raise DataError(f"the label {shown(odd[0])} is no whole number", "give whole ones, or choose ordinal")
            low = min(values.values())
            places = {label: int(value - low) for label, value in values.items()}
            every = range(max(places.values()) + 1)
            return _few({**{f"\0{place}": place for place in every if place not in places.values()}, **places})
        order = sorted(set(values.values()))
        return _few({label: order.index(value) for label, value in values.items()})

    def value(self, sums: np.ndarray) -> np.ndarray:
        """1 - disagreement seen / disagreement to be expected by chance."""
        size = round(sums.shape[-1] ** 0.5)
        seen = sums.reshape(*sums.shape[:-1], size, size)
        n = seen.sum((-1, -2))[..., None, None]
        rows, columns = seen.sum(-1)[..., :, None], seen.sum(-2)[..., None, :]
        expected = ratio(rows * columns, n)
        if self._is_alpha:
            expected = ratio(rows * columns - np.eye(size) * rows, n - 1)
        weight = self._weights(size, seen.sum(-1))
        return np.asarray(1 - ratio((weight * seen).sum((-1, -2)), (weight * expected).sum((-1, -2))))

    def _weights(self, size: int, marginals: np.ndarray) -> np.ndarray:
        if self.which in ("cohen", "nominal"):
            return 1 - np.eye(size)
        places = np.arange(size)
        apart = np.abs(places[:, None] - places)
        if self.which == "ordinal":
            total = np.cumsum(marginals, -1)
            low, high = np.minimum(places[:, None], places), np.maximum(places[:, None], places)
            between = total[..., high] - total[..., low] + marginals[..., low]
            return (between - (marginals[..., :, None] + marginals[..., None, :]) / 2) ** 2 * (apart > 0)
        return apart if self.which == "linear" else apart**2


def _few(labels: dict[str, int]) -> dict[str, int]:
    """The number of places, not of labels, makes the matrix: labels of one number share one."""
    count = max(labels.values(), default=0) + 1
    if count > MOST_LABELS:
        raise DataError(f"{count:,} labels are none to agree on", f"give at most {MOST_LABELS}")
    return labels
