"""What a model has read so far: keys and values of every layer, in slabs made once and written slice by slice."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hanlin.core.errors import CapacityError

Turns = tuple[Float[Tensor, "S 1 E"], Float[Tensor, "S 1 E"]]


class Slab(NamedTuple):
    """One layer's keys and values, `[B K S E]` each."""

    keys: Float[Tensor, "B K S E"]
    values: Float[Tensor, "B K S E"]


class Cache:
    """Room for `context` positions of `batch` rows. It lives as long as the conversation, and carries no gradients."""

    def __init__(
        self, slabs: list[Slab], turns: list[Turns], starts: Int[Tensor, " B"] | None = None, length: int = 0
    ) -> None:
        self.slabs = slabs
        self.turns = turns
        """Cosines and sines for every slot, per kind of rope."""
        self.starts = starts
        """The first real slot of each left-padded row; None if all begin at 0."""
        self.length = length
        """Slots in use."""

    @property
    def batch(self) -> int:
        """Rows."""
        return self.slabs[0].keys.shape[0]

    @property
    def context(self) -> int:
        """Slots."""
        return self.slabs[0].keys.shape[2]

    def grown(self, count: int) -> int:
        """The length after `count` more positions.

        Raises:
            CapacityError: there is no room for them.
        """
        if self.length + count > self.context:
            raise CapacityError(
                f"the cache has room for {self.context} positions; {self.length} are taken and {count} more came",
                "make a larger cache, or send fewer tokens",
            )
        return self.length + count

    def cut(self, length: int) -> None:
        """Forget everything from slot `length` on."""
        assert 0 <= length <= self.length, (length, self.length)
        self.length = length

    def rows(self, which: Int[Tensor, " N"]) -> "Cache":
        """A cache of its own that goes on from the given rows, which may repeat."""
        slabs = [Slab(slab.keys[which], slab.values[which]) for slab in self.slabs]
        starts = None if self.starts is None else self.starts[which]
        return Cache(slabs, self.turns, starts, self.length)


def empty(
    layers: int,
    shape: tuple[int, int, int, int],
    turns: list[Turns],
    starts: Int[Tensor, " B"] | None,
    dtype: torch.dtype,
    device: torch.device,
) -> Cache:
    """A cache with nothing in it; `shape` is (B, K, S, E)."""
    place = {"dtype": dtype, "device": device}
    slabs = [Slab(torch.zeros(shape, **place), torch.zeros(shape, **place)) for _ in range(layers)]
    if starts is not None:
        starts = starts.to(device) if bool(starts.any()) else None
    return Cache(slabs, turns, starts)
