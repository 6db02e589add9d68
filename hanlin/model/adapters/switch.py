"""The network as it was before its adapters: switched off for the length of a `with` block."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from hanlin.model.adapters.adapted import adapted


@contextmanager
def switched_off(network: nn.Module) -> Iterator[None]:
    """Inside, the network answers exactly as before `add`; with a quantised base, as that base does."""
    before = {part: part.is_off for part in adapted(network).values()}
    try:
        for part in before:
            part.is_off = True
        yield
    finally:
        for part, was_off in before.items():
            part.is_off = was_off
