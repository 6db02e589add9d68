"""Guesses of the next tokens without a second model: what followed the last tokens when they stood there before.

Prompt lookup: https://github.com/apoorvumang/prompt-lookup-decoding. A guess is checked by the model itself, so that it
can cost time but never change an answer. How many tokens are guessed follows how many of them were right.
"""

from collections.abc import Sequence

LONGEST, SHORTEST = 4, 2
"""Tokens that must stand there again: so many are looked for first, so many at least."""
MOST = 8
"""Tokens of a guess."""
REST = 16
"""Tokens without a guess after guesses were wrong."""


class Guesser:
    """For one sequence: it remembers where runs of tokens stood, and how its guesses did."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._after: dict[tuple[int, ...], int] = {}
        self._read = 0
        self._share, self._rest = 0.5, 0
        self.guessed = self.right = 0
        """Tokens, in all."""
        self.grow(tokens)

    def grow(self, tokens: Sequence[int]) -> None:
        """More tokens have come; `tokens` are all of them."""
        for end in range(max(self._read, SHORTEST), len(tokens)):
            for size in range(SHORTEST, min(LONGEST, end) + 1):
                self._after[tuple(tokens[end - size : end])] = end
        self._read = len(tokens)

    def guess(self, tokens: Sequence[int], most: int) -> list[int]:
        """At most `most` tokens that may follow; none where guesses do not pay."""
        if self._rest:
            self._rest -= 1
            return []
        count = min(most, MOST, 1 + round(self._share * MOST))
        for size in range(min(LONGEST, len(tokens)), SHORTEST - 1, -1):
            place = self._after.get(tuple(tokens[-size:]))
            if place is not None and place < len(tokens):
                return list(tokens[place : place + count])
        return []

    def learn(self, guessed: int, right: int) -> None:
        """Of a guess's tokens so many were right."""
        self.guessed += guessed
        self.right += right
        self._share += 0.3 * (right / guessed - self._share)
        if self._share < 0.15:
            self._rest, self._share = REST, 0.3
