"""Which tokens are guessed to follow, by whom, and whether that pays: sequences in, their guesses out.

What stood there before is looked up first, which costs nothing. Where that says nothing a draft model is asked, if
there is one and as long as answers come faster with it than without: both are measured now and then.
"""

from collections.abc import Sequence as Listed

from hanlin.infer.engine.counts import Counts
from hanlin.infer.engine.draft import STREAMS, Draft, Key, Wish
from hanlin.infer.engine.guess import MOST
from hanlin.infer.engine.sequence import Sequence

MOST_SEQUENCES = STREAMS
"""Answers in a step up to which guesses are made: beyond, a row costs what it costs alone."""
TRIED, HELD, LONGEST_HELD = 12, 96, 1536
"""Steps in which each way is measured, and then the better one is kept; twice as many each time the draft lost."""
LEARNT = 0.25


class Pace:
    """Whether to ask a draft: it is, for some steps; then it is not; then whatever was faster is kept for a while."""

    def __init__(self) -> None:
        self.is_on = True
        self._left, self._held = TRIED, HELD
        self._tried: list[float] = []
        self._tokens, self._seconds = 0, 0.0

    def take(self, tokens: int, seconds: float) -> None:
        """A step has written so many tokens of answers in this time."""
        self._tokens += tokens
        self._seconds += seconds
        self._left -= 1
        if self._left > 0:
            return
        self._tried.append(self._tokens / max(self._seconds, 1e-9))
        self._tokens, self._seconds = 0, 0.0
        if len(self._tried) == 1:
            self.is_on, self._left = False, TRIED
        elif len(self._tried) == 2:
            self.is_on = self._tried[0] > self._tried[1]
            self._left = self._held
            self._held = HELD if self.is_on else min(2 * self._held, LONGEST_HELD)
        else:
            self._tried = []
            self.is_on, self._left = True, TRIED


def _key(sequence: Sequence) -> Key:
    return sequence.number, sequence.begin


class Ahead:
    """Of one engine."""

    def __init__(self, context: int, counts: Counts, draft: Draft | None) -> None:
        self.context, self.counts, self.draft = context, counts, draft
        self.pace = Pace()
        self._shares: dict[int, float] = {}
        """Of a draft's tokens those that were right lately, by sequence."""

    def fill(self, sequences: Listed[Sequence], running: int) -> None:
        """Guess for sequences that are being written; `running` are all that the engine is at work on."""
        wishes, asking = [], []
        for sequence in sequences:
            most = min(MOST, sequence.request.sampling.max_tokens - sequence.answer.count - 1)
            most = min(most, self.context - sequence.length)
            sequence.guess, sequence.is_drafted = [], False
            if sequence.guesser is None or most < 1 or running > MOST_SEQUENCES:
                continue
            sequence.guess = sequence.guesser.guess(sequence.answer.tokens, most)
            if self.draft is not None and self.pace.is_on and not sequence.guess:
                share = self._shares.get(sequence.number, 0.5)
                tokens = sequence.answer.tokens[sequence.begin :]
                wishes.append(Wish(_key(sequence), tokens, min(most, 1 + round(share * (MOST - 1)))))
                asking.append(sequence)
        if self.draft is None or not wishes:
            return
        alive = set(map(_key, sequences))
        for sequence, guess in zip(asking, self.draft.guess(wishes, alive), strict=True):
            sequence.guess, sequence.is_drafted = guess, True
        self._shares = {one.number: self._shares.get(one.number, 0.5) for one in sequences}

    def learn(self, sequence: Sequence, guessed: int, right: int) -> None:
        """Of a sequence's guesses so many were right; its answer has grown."""
        if sequence.guesser is not None:
            sequence.guesser.grow(sequence.answer.tokens)
        if not guessed:
            return
        self.counts.guessed += guessed
        self.counts.right += right
        if sequence.is_drafted:
            self.counts.drafted += guessed
            before = self._shares.get(sequence.number, 0.5)
            self._shares[sequence.number] = before + LEARNT * (right / guessed - before)
        elif sequence.guesser is not None:
            sequence.guesser.learn(guessed, right)

    def take(self, tokens: int, seconds: float) -> None:
        """A step in which answers alone were written: so many tokens in so long."""
        if self.draft is not None and tokens:
            self.pace.take(tokens, max(0.0, seconds - self.draft.read_seconds))
            self.draft.read_seconds = 0.0
