"""Merges for a SentencePiece vocabulary that comes without: the pieces, best first, in; pairs to merge, in order, out.

SentencePiece's BPE joins the two neighbours whose joint piece scores best. As a merge list that is: take the pieces
from the best to the worst, and for each one every way to cut it into two pieces.
Reference: Sennrich et al. 2016, https://arxiv.org/abs/1508.07909; https://github.com/google/sentencepiece
"""

from collections.abc import Iterable, Mapping


def derived(pieces: Iterable[str], vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    """All pairs of `vocabulary` that make up one of `pieces`, in the order of `pieces`, longest left part first."""
    return [
        (left, right)
        for piece in pieces
        for cut in range(len(piece) - 1, 0, -1)
        if (left := piece[:cut]) in vocabulary and (right := piece[cut:]) in vocabulary
    ]
