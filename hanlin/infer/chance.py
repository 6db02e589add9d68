"""Chance from a seed: the same numbers in the same order on every machine.

They are those of `torch.Generator().manual_seed(seed)`, a Mersenne Twister begun as its makers begin it, so that seeds
give what they have always given here; without torch, which takes longer to import than a small model to load.

Paper: https://dl.acm.org/doi/10.1145/272991.272995
"""

import random

import numpy as np
from jaxtyping import Float64

WORDS, WORD = 624, 0xFFFFFFFF


class Chance:
    """One answer's. It lives as long as the answer."""

    def __init__(self, seed: int) -> None:
        """Of the seed the lower 32 bits count."""
        state = [seed & WORD]
        for place in range(1, WORDS):
            state.append((1_812_433_253 * (state[-1] ^ state[-1] >> 30) + place) & WORD)
        self.source = random.Random()
        self.source.setstate((3, (*state, WORDS), None))

    def fine(self, count: int) -> Float64[np.ndarray, " count"]:
        """Numbers from 0 to below 1 in steps of 2⁻⁵³: as torch draws a float64."""
        words = self.source.getrandbits
        return np.array([((words(32) & 0x1FFFFF) << 32 | words(32)) * 2.0**-53 for _ in range(count)])

    def coarse(self) -> float:
        """A number from 0 to below 1 in steps of 2⁻²⁴: as torch draws a float32."""
        return (self.source.getrandbits(32) & 0xFFFFFF) * 2.0**-24
