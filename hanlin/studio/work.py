"""A page's long work: one at a time, ended by its button or by leaving the page."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from nicegui import background_tasks

from hanlin.studio.parts import tell
from hanlin.studio.visitor import Visitor


class Work:
    """What a page is doing, if it is."""

    def __init__(self, visitor: Visitor, changed: Callable[[bool], None] = lambda _: None) -> None:
        self.visitor, self._changed = visitor, changed
        self.task: asyncio.Task[None] | None = None
        visitor.client.on_delete(self.stop)

    def start(self, what: Coroutine[Any, Any, None]) -> None:
        """Do it, unless something is being done already."""
        if self.is_on:
            what.close()
            return
        self._changed(True)
        self.task = background_tasks.create(self._do(what))

    async def _do(self, what: Coroutine[Any, Any, None]) -> None:
        try:
            with self.visitor.client:
                await what
        except asyncio.CancelledError:
            pass
        except Exception as error:
            tell(self.visitor, error)
        finally:
            self.task = None
            if not self.visitor.client.is_deleted:
                with self.visitor.client:
                    self._changed(False)

    @property
    def is_on(self) -> bool:
        """Something is being done."""
        return self.task is not None

    def stop(self) -> None:
        """End it."""
        if self.task is not None:
            self.task.cancel()
