"""One answer in the engine: its tokens, how many of them are computed, and which blocks they lie in."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from hanlin.infer.answer import Answer
from hanlin.infer.engine.guess import Guesser
from hanlin.infer.engine.pages import SIZE, Hash, Pages, hashes
from hanlin.infer.engine.request import Request
from hanlin.kernels.low import Lows

_numbers = itertools.count()
Kept = Callable[[Hash, int], bool]


@dataclass(eq=False)
class Sequence:
    """It lives from its request's coming to its last event."""

    handle: int
    """Of its request."""
    request: Request
    answer: Answer
    guesser: Guesser | None
    deadline: float | None
    """On the monotonic clock."""
    leader: "Sequence | None" = None
    """Another answer to the same prompt, whose beginning this one waits for."""
    number: int = field(default_factory=_numbers.__next__)
    """In the order of coming."""
    begin: int = 0
    """Tokens before this one are forgotten (overflow = slide)."""
    computed: int = 0
    """Tokens from `begin` on whose keys and values are there."""
    found: int = 0
    """Of these, those that had been computed before it came, or came again."""
    blocks: list[int] = field(default_factory=list)
    named: int = 0
    """How many of its blocks are known by their content."""
    name: Hash = b""
    """Of the last one of these; of none, what tells apart who computes them."""
    adapter: Lows | None = None
    rated: int = 0
    """The next token of the prompt whose log-probability is to be told; all of them are once it is the length."""
    guess: list[int] = field(default_factory=list)
    """Tokens guessed to follow, to be checked in this step."""
    is_drafted: bool = False
    """By a draft model."""
    dropped: int = 0
    """Tokens forgotten just before the next one."""
    is_running: bool = False
    is_cancelled: bool = False

    @property
    def salt(self) -> Hash:
        """Of the names of its blocks: those of another adapter hold other keys and values."""
        return b"" if self.adapter is None else self.adapter.content

    @property
    def rank(self) -> tuple[int, int]:
        """Who comes first: the more important, then the earlier."""
        return -self.request.priority, self.number

    @property
    def length(self) -> int:
        """Tokens that are not forgotten."""
        return len(self.answer.tokens) - self.begin

    @property
    def pending(self) -> int:
        """Tokens that are still to be computed: one while the answer is being written, more before."""
        return self.length - self.computed

    @property
    def is_finished(self) -> bool:
        """It has had its last event."""
        return self.answer.finish is not None or self.is_cancelled

    @property
    def is_rated(self) -> bool:
        """Tokens of its prompt are still to be told of."""
        return self.rated < len(self.request.prompt)

    def rows(self, size: int) -> range:
        """Of the next `size` tokens to compute those whose logits tell of a token of the prompt."""
        end = self.computed + size
        return range(max(self.computed, self.rated - 1), min(end, len(self.request.prompt) - 1))

    def next_tokens(self, count: int) -> list[int]:
        """The next tokens to compute, the guessed ones behind them."""
        first = self.begin + self.computed
        return self.answer.tokens[first : first + count] + self.guess

    def grow(self, pages: Pages, positions: int) -> bool:
        """Blocks for so many positions; whether they could be had."""
        while len(self.blocks) * SIZE < positions:
            block = pages.take()
            if block is None:
                return False
            self.blocks.append(block)
        return True

    def begin_from(self, pages: Pages, kept: Kept | None = None) -> None:
        """Take over what others computed of the same beginning; the last token is always computed anew.

        `kept` is told a name and a block: it says whether it has filled the block with what goes by that name.
        """
        tokens = self.answer.tokens[self.begin :]
        readable = min(len(tokens), self.rated) - 1 if self.is_rated else len(tokens) - 1
        known: list[Hash] = hashes(tokens[:readable], self.salt) if pages.keeps else []
        self.blocks = pages.find(known)
        for one in known[len(self.blocks) :] if kept else ():
            block = pages.take()
            if block is None:
                break
            if kept is None or not kept(one, block):
                pages.release([block])
                break
            pages.name(block, one)
            self.blocks.append(block)
        self.named = len(self.blocks)
        self.name = known[self.named - 1] if self.named else self.salt
        self.computed = self.named * SIZE

    def advance(self, count: int, pages: Pages) -> None:
        """So many more tokens are computed; blocks that became full are known from now on."""
        self.computed += count
        full = self.computed // SIZE
        if pages.keeps and full > self.named:
            begin, end = (self.begin + size * SIZE for size in (self.named, full))
            for block, one in zip(
                self.blocks[self.named : full], hashes(self.answer.tokens[begin:end], self.name), strict=True
            ):
                pages.name(block, one)
                self.name = one
            self.named = full

    def read_blocks(self, first: int) -> list[int]:
        """Blocks from the `first` on whose keys and values are all of the prompt."""
        whole = max(0, len(self.request.prompt) - self.begin) // SIZE
        return self.blocks[first : min(self.named, whole)]

    def give_up(self, pages: Pages) -> None:
        """Hold nothing any more; what was computed will have to be found or computed again."""
        pages.release(self.blocks)
        self.blocks, self.computed, self.named, self.name, self.guess = [], 0, 0, self.salt, []
        self.is_running = False

    def forget(self, kept: int, pages: Pages) -> None:
        """Begin again from the last `kept` tokens."""
        self.give_up(pages)
        self.dropped = self.length - kept
        self.begin += self.dropped
