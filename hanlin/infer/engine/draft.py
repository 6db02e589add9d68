"""Guesses by a second, smaller model: sequences in, a few tokens for each that may follow, out.

They are checked as all guesses are: the answer is the large model's own, to the bit, sampled or not. The small model
reads what the large one has said, then goes on alone with the likeliest token each time, all sequences together, as
long as it is fairly sure. https://arxiv.org/abs/2211.17192 has the idea, and why checking keeps the distribution.
"""

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from hanlin.core.errors import ConfigError, TokenizerError
from hanlin.infer.engine.pages import SIZE, Pages
from hanlin.infer.engine.settings import EngineSettings, count_blocks
from hanlin.kernels.plan import Plan, survey
from hanlin.model.native import Native
from hanlin.text.tokenizer import Tokenizer

ROWS = 512
"""Positions that are read in one pass."""
STREAMS = 8
"""Sequences that are guessed for at a time."""
SURE = math.log(0.4)
"""Log-probability from which on a guess is made: below, most are wrong."""


Key = tuple[int, int]
"""A sequence's number, and how much of its beginning it has forgotten."""


@dataclass(frozen=True)
class Wish:
    """Whose next tokens are to be guessed."""

    key: Key
    tokens: Sequence[int]
    """All that it has."""
    most: int
    """Tokens wanted."""


@dataclass
class Trail:
    """What the small model has read of a sequence."""

    ids: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    sure: int = 0
    """How many of the ids are known to be the sequence's own."""

    def kept(self, tokens: Sequence[int]) -> int:
        """How much of the sequence has been read, less its last token; what was guessed wrongly is forgotten."""
        place, end = self.sure, min(len(self.ids), len(tokens) - 1)
        if place > end:
            place = 0
        while place < end and self.ids[place] == tokens[place]:
            place += 1
        del self.ids[place:]
        self.sure = place
        return place


class Draft:
    """The small model beside an engine."""

    def __init__(self, plan: Plan, tokenizer: Tokenizer, context: int) -> None:
        """`context` is its window.

        Raises:
            CapacityError: there is no memory for keys and values.
        """
        self.plan, self.tokenizer, self.context = plan, tokenizer, min(context, plan.positions)
        self.kv = plan.blocks(count_blocks(plan, self.context, EngineSettings(streams=STREAMS)))
        self.pages = Pages(self.kv.count, keeps=False)
        self.read_seconds = 0.0
        """Spent in the last call on what a sequence had before anything was guessed for it."""
        self._trails: dict[Key, Trail] = {}

    @classmethod
    def of(cls, it: Native) -> "Draft":
        """A model as it was read from disk.

        Raises:
            CapacityError: as above.
            TokenizerError: it has no tokenizer.
        """
        if it.tokenizer is None:
            raise TokenizerError(f"{it.path} has no tokenizer", "a draft needs one, the same as its model's")
        return cls(it.plan, it.tokenizer, it.config.context)

    def check(self, tokenizer: Tokenizer) -> None:
        """Say nothing if both models speak the same tokens.

        Raises:
            ConfigError: they do not.
        """
        own, other = self.tokenizer.backend.get_vocab(), tokenizer.backend.get_vocab()
        if own != other:
            differ = sum(other.get(text) != token for text, token in own.items()) or len(other) - len(own)
            what = f"the draft's tokens are not the model's: {differ:,} of {len(own):,} differ"
            raise ConfigError(what, "take a smaller model of the same family, or no draft")

    def guess(self, wishes: Sequence[Wish], alive: Collection[Key]) -> list[list[int]]:
        """For each as many tokens as it is fairly sure of; what is not alive any more is forgotten."""
        for key in [key for key in self._trails if key not in alive]:
            self.pages.release(self._trails.pop(key).blocks)
        said: list[list[int]] = [[] for _ in wishes]
        going = [place for place, wish in enumerate(wishes) if self._has_room(wish)]
        self.read_seconds = 0.0
        if not going:
            return said
        began = time.perf_counter()
        is_new = self._read_ahead([wishes[place] for place in going])
        self.read_seconds = time.perf_counter() - began if is_new else 0.0
        while going:
            going = self._step(wishes, said, going)
        return said

    def _has_room(self, wish: Wish) -> bool:
        """There are positions and blocks for the sequence and its guesses."""
        trail = self._trails.setdefault(wish.key, Trail())
        wanted = len(wish.tokens) + wish.most
        while wanted <= self.context and len(trail.blocks) * SIZE < wanted:
            block = self.pages.take()
            if block is None:
                break
            trail.blocks.append(block)
        return wish.most > 0 and wanted <= self.context and len(trail.blocks) * SIZE >= wanted

    def _read_ahead(self, wishes: Sequence[Wish]) -> bool:
        """Read of each sequence what is more than a few tokens behind its end; whether there was any."""
        is_new = False
        for wish in wishes:
            trail = self._trails[wish.key]
            first, last = trail.kept(wish.tokens), len(wish.tokens) - 1
            for begin in range(first, last, ROWS) if last - first > 2 * SIZE else ():
                self._walk([(trail, list(wish.tokens[begin : min(begin + ROWS, last)]))], has_logits=False)
                is_new = True
        return is_new

    def _step(self, wishes: Sequence[Wish], said: list[list[int]], going: list[int]) -> list[int]:
        """One more token for each; those that go on."""
        some = []
        for place in going:
            trail, wish = self._trails[wishes[place].key], wishes[place]
            behind = [*wish.tokens[trail.kept(wish.tokens) :]] if not said[place] else [said[place][-1]]
            some.append((trail, behind))
        logits = self._walk(some)
        found, left = survey(logits, min(self.plan.vocabulary, self.tokenizer.vocab_size)), []
        for row, place in enumerate(going):
            token = int(found.likeliest[row])
            if not float(logits[row, token]) - float(found.totals[row]) >= SURE:  # or no number
                continue
            said[place].append(token)
            if len(said[place]) < wishes[place].most:
                left.append(place)
        return left

    def _walk(self, some: Sequence[tuple[Trail, list[int]]], *, has_logits: bool = True) -> np.ndarray:
        """Read more of some sequences; logits after the last token of each."""
        tables = np.zeros((len(some), max(len(trail.blocks) for trail, _ in some)), np.int32)
        tokens, positions, owners, wanted = [], [], [], []
        for owner, (trail, more) in enumerate(some):
            tables[owner, : len(trail.blocks)] = trail.blocks
            positions += range(len(trail.ids), len(trail.ids) + len(more))
            tokens += more
            owners += [owner] * len(more)
            wanted.append(len(tokens) - 1)
            trail.ids += more
        said = self.plan.walk(
            self.kv,
            np.array(tokens),
            np.array(positions),
            np.array(owners),
            tables,
            np.array(wanted),
            has_logits=has_logits,
        )
        return np.empty((0, 0), np.float32) if said.logits is None else said.logits
