"""What outlives a request: responses, stored chats and the studio's conversations. All in one database.

Each entry belongs to the key that made it, and no other key finds it.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, Float, MetaData, String, Table, delete, insert, select, update

from hanlin.core.database import connect
from hanlin.core.home import home

NUL = "\x00"
TABLES = MetaData()
RESPONSES = Table(
    "responses",
    TABLES,
    Column("id", String(80), primary_key=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("created", Float, nullable=False),
    Column("input", JSON, nullable=False),
    Column("told", JSON, nullable=False),
)
"""`input` are the items it was asked with, `told` the response object as it stands."""
CHATS = Table(
    "chats",
    TABLES,
    Column("id", String(80), primary_key=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("created", Float, nullable=False),
    Column("messages", JSON, nullable=False),
    Column("told", JSON, nullable=False),
)
CONVERSATIONS = Table(
    "conversations",
    TABLES,
    Column("id", String(80), primary_key=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("changed", Float, nullable=False),
    Column("title", String(200), nullable=False),
    Column("content", JSON, nullable=False),
)
"""The studio's: `content` is a tree of messages."""


class State:
    """The database of a server. Calls wait in a thread, so the event loop goes on."""

    def __init__(self, where: str | Path | None = None) -> None:
        """A file for SQLite or a postgresql:// URL; None for state.db in HANLIN_HOME.

        Raises:
            ConfigError, StoreError: it cannot be opened.
        """
        self.engine = connect(where or home() / "state.db", TABLES)

    async def keep(self, table: Table, entry: str, owner: str, **columns: Any) -> None:
        """Write an entry, in the place of one that has its id. NUL, which PostgreSQL has not in text, is shown as ␀."""
        columns = {
            name: value.replace(NUL, "␀") if isinstance(value, str) else value for name, value in columns.items()
        }

        def write() -> None:
            with self.engine.begin() as connection:
                same = (table.c.id == entry) & (table.c.owner == owner)
                if not connection.execute(update(table).where(same).values(columns)).rowcount:
                    connection.execute(insert(table).values(id=entry, owner=owner, **columns))

        await asyncio.to_thread(write)

    async def find(self, table: Table, entry: str, owner: str) -> Mapping[str, Any] | None:
        """An entry of this owner."""
        if NUL in entry:
            return None

        def look() -> Mapping[str, Any] | None:
            with self.engine.connect() as connection:
                row = connection.execute(select(table).where((table.c.id == entry) & (table.c.owner == owner))).first()
                return None if row is None else dict(row._mapping)

        return await asyncio.to_thread(look)

    async def all_of(self, table: Table, owner: str, limit: int = 100) -> Sequence[Mapping[str, Any]]:
        """The newest entries of this owner, newest first."""
        when = table.c.created if "created" in table.c else table.c.changed

        def look() -> Sequence[Mapping[str, Any]]:
            with self.engine.connect() as connection:
                wanted = select(table).where(table.c.owner == owner).order_by(when.desc()).limit(limit)
                return [dict(row._mapping) for row in connection.execute(wanted)]

        return await asyncio.to_thread(look)

    async def drop(self, table: Table, entry: str, owner: str) -> bool:
        """Delete an entry; whether it was there."""
        if NUL in entry:
            return False

        def erase() -> bool:
            with self.engine.begin() as connection:
                found = connection.execute(delete(table).where((table.c.id == entry) & (table.c.owner == owner)))
                return bool(found.rowcount)

        return await asyncio.to_thread(erase)

    def end_open(self) -> int:
        """What a server that was killed left unfinished has failed; how many there were. For the start of one server
        alone: others that share the database may still be at work on theirs.
        """
        wrong = {"code": "server_error", "message": "the server ended before this response did"}
        count = 0
        with self.engine.begin() as connection:
            for row in connection.execute(select(RESPONSES.c.id, RESPONSES.c.told)).all():
                if row.told["status"] in ("queued", "in_progress"):
                    told = {**row.told, "status": "failed", "error": wrong}
                    connection.execute(update(RESPONSES).where(RESPONSES.c.id == row.id).values(told=told))
                    count += 1
        return count

    async def keep_chat(self, told: Mapping[str, Any], owner: str, messages: Sequence[Mapping[str, Any]]) -> None:
        """A stored chat completion."""
        await self.keep(CHATS, told["id"], owner, created=time.time(), messages=list(messages), told=dict(told))

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()
