"""Conversations in the server's database, each of the key that made it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from hanlin.serve.state import CONVERSATIONS, State
from hanlin.studio.chat.tree import Conversation, from_plain

MOST = 500
"""Conversations in a list."""


@dataclass(frozen=True)
class Entry:
    """A conversation as a list shows it."""

    id: str
    title: str
    changed: float


async def listed(state: State, owner: str, wanted: str = "") -> Sequence[Entry]:
    """The newest conversations; with `wanted` those in whose title or messages it stands, whatever its case."""
    if not wanted.strip():
        return await asyncio.to_thread(_listed, state, owner)
    rows = await state.all_of(CONVERSATIONS, owner, MOST)
    needle = wanted.strip().casefold()
    return await asyncio.to_thread(lambda: [_entry(row) for row in rows if _has(row, needle)])


def _listed(state: State, owner: str) -> Sequence[Entry]:
    table = CONVERSATIONS
    wanted = select(table.c.id, table.c.title, table.c.changed).where(table.c.owner == owner)
    with state.engine.connect() as connection:
        rows = connection.execute(wanted.order_by(table.c.changed.desc()).limit(MOST))
        return [Entry(row.id, row.title, row.changed) for row in rows]


def _entry(row) -> Entry:
    return Entry(row["id"], row["title"], row["changed"])


def _has(row, needle: str) -> bool:
    said = (one["content"] for one in row["content"]["messages"])
    return needle in row["title"].casefold() or any(needle in text.casefold() for text in said)


async def kept(state: State, owner: str, conversation: Conversation) -> None:
    """Write it down."""
    columns = {"title": conversation.title[:200], "content": conversation.plain(), "changed": time.time()}
    await state.keep(CONVERSATIONS, conversation.id, owner, **columns)


async def found(state: State, owner: str, entry: str) -> Conversation | None:
    """The conversation of that id."""
    row = await state.find(CONVERSATIONS, entry, owner)
    return None if row is None else from_plain(row["content"])


async def dropped(state: State, owner: str, entry: str) -> None:
    """Forget it."""
    await state.drop(CONVERSATIONS, entry, owner)
