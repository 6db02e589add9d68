"""What a model thought of the tokens of a prompt: rows of logits and the tokens that came in, their places out."""

from collections.abc import Iterator, Sequence

import numpy as np

from hanlin.core.errors import WeightsError
from hanlin.infer.event import Place, Top

NAN, DAMAGED = "the model answers {} instead of probabilities", "the weights are damaged: fetch them again"


def places(
    logits: np.ndarray, tokens: Sequence[int], totals: Sequence[float], count: int, drawable: int
) -> Iterator[Place]:
    """One for each row of logits (rows, V), float32, and the token that followed there.

    Args:
        totals: the rows' logsumexp.
        count: likeliest tokens to tell of each.
        drawable: ids that can be said; others are never among the likeliest.

    Raises:
        WeightsError: the logits are not numbers.
    """
    for row, token, total in zip(logits, tokens, totals, strict=True):
        if not -float("inf") < total < float("inf"):
            raise WeightsError(NAN.format(total), DAMAGED)
        mine = row[token]
        yield Place(
            token, float(mine) - total, int((row[:drawable] > mine).sum()) + 1, _top(row[:drawable], count, total)
        )


def _top(row: np.ndarray, count: int, total: float) -> tuple[Top, ...]:
    count = min(count, len(row))
    if not count:
        return ()
    likeliest = np.argpartition(-row, count - 1)[:count] if count > 1 else np.array([row.argmax()])
    ordered = sorted(likeliest.tolist(), key=lambda token: (-row[token], token))
    return tuple(Top(token, float(row[token]) - total) for token in ordered)
