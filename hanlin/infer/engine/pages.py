"""Who has which block of keys and values: blocks are shared by sequences that begin alike, and kept for later ones.

A full block is known by the hash of all tokens up to its end. One that no sequence holds any more is kept until room
is needed; the one whose use lies back furthest goes first.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

SIZE = 32
"""Positions of a block."""
Hash = bytes


def hashes(tokens: Sequence[int], salt: bytes = b"") -> list[Hash]:
    """Of each full block of a text, with all that stands before it; `salt` tells apart what computes them."""
    known: list[Hash] = []
    last = salt
    ids = np.asarray(tokens, np.int32)
    for end in range(SIZE, len(tokens) + 1, SIZE):
        last = hashlib.blake2b(last + ids[end - SIZE : end].tobytes(), digest_size=16).digest()
        known.append(last)
    return known


class Pages:
    """The blocks of one memory. It knows numbers only, not what is in them."""

    def __init__(self, count: int, *, keeps: bool = True) -> None:
        """`keeps`: blocks outlive the sequences that filled them."""
        self.count, self.keeps = count, keeps
        self._free = list(range(count - 1, -1, -1))
        self._holders = [0] * count
        self._known: dict[Hash, int] = {}
        self._hash_of: dict[int, Hash] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()

    @property
    def free(self) -> int:
        """Blocks that can be had now, kept ones included."""
        return len(self._free) + len(self._idle)

    @property
    def kept(self) -> int:
        """Blocks whose content is known and that nobody holds."""
        return len(self._idle)

    def take(self) -> int | None:
        """A block of one's own; None if all are held."""
        if self._free:
            block = self._free.pop()
        elif self._idle:
            block, _ = self._idle.popitem(last=False)
            del self._known[self._hash_of.pop(block)]
        else:
            return None
        self._holders[block] = 1
        return block

    def find(self, wanted: Sequence[Hash]) -> list[int]:
        """Blocks of the longest known beginning, now held by one more."""
        found = []
        for one in wanted:
            block = self._known.get(one)
            if block is None:
                break
            self._holders[block] += 1
            self._idle.pop(block, None)
            found.append(block)
        return found

    def content(self, block: int) -> Hash | None:
        """By what a block is known, if it is."""
        return self._hash_of.get(block)

    def count_known(self, wanted: Sequence[Hash]) -> int:
        """Blocks of the longest known beginning."""
        return next((place for place, one in enumerate(wanted) if one not in self._known), len(wanted))

    def name(self, block: int, one: Hash) -> None:
        """A held block is full, and this is what is in it. If another one has the same, that one stays known."""
        if self.keeps and one not in self._known and block not in self._hash_of:
            self._known[one] = block
            self._hash_of[block] = one

    def release(self, blocks: Sequence[int]) -> None:
        """Hold them no longer; those whose content is known are kept, the last ones to be given up first."""
        for block in reversed(blocks):
            self._holders[block] -= 1
            assert self._holders[block] >= 0, "released twice"
            if self._holders[block]:
                continue
            if block in self._hash_of:
                self._idle[block] = None
            else:
                self._free.append(block)

    def forget(self) -> None:
        """Keep nothing of what nobody holds."""
        while self._idle:
            block, _ = self._idle.popitem()
            del self._known[self._hash_of.pop(block)]
            self._free.append(block)
