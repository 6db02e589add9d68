"""Long work in a thread: an iterator in, its pieces out, one by one; leaving ends it at its next piece."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

T = TypeVar("T")
END = object()


async def stepping(work: Iterator[T]) -> AsyncIterator[T]:
    """What `work` yields; each piece is made in a thread, so the page goes on living."""
    step: asyncio.Future[object] | None = None
    try:
        while True:
            step = asyncio.ensure_future(asyncio.to_thread(next, work, END))
            piece = await asyncio.shield(step)
            if piece is END:
                return
            yield piece  # pyright: ignore[reportReturnType]
    finally:
        if step is not None and not step.done():
            step.add_done_callback(lambda done: _close(work, done))
        else:
            close = getattr(work, "close", None)
            if close is not None:
                await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(close)))


def _close(work: Iterator[object], done: "asyncio.Future[object]") -> None:
    """End what was left while a thread was in it."""
    done.exception()
    close = getattr(work, "close", None)
    if close is not None:
        close()
