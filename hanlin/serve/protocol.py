"""HTTP that does not wait for ever: a connection whose request head has not come in time is closed.

uvicorn bounds the size of a head and the idle time between requests, but not how slowly a head may come; thousands of
connections that send a byte a minute would hold thousands of sockets.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def patient(seconds: float) -> type[H11Protocol]:
    """A protocol for uvicorn that waits for the head of a request for so long."""

    class Patient(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def _watch(self) -> None:
            """A clock runs while there is no request being answered; more bytes of a head do not wind it up again."""
            if not self._is_waiting():
                self._forget()
            elif self._late is None:
                self._late = self.loop.call_later(seconds, self._give_up)

        def _is_waiting(self) -> bool:
            """For a head: no request is being answered, and the connection has not become a websocket."""
            is_ours = self.transport.get_protocol() is self
            return is_ours and (self.cycle is None or self.cycle.response_complete)

        def _forget(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _give_up(self) -> None:
            self._late = None
            if self._is_waiting() and not self.transport.is_closing():
                self.transport.close()

    return Patient
