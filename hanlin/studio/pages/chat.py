"""Chat: talk to one model or several side by side; every answer can be stopped, explained, branched and kept."""

from hanlin.studio.chat.room import Room
from hanlin.studio.visitor import Visitor
from hanlin.studio.words import chat

PATH, TITLE, ICON, ORDER = "/", chat.TITLE, "chat_bubble_outline", 1


async def show(visitor: Visitor) -> None:
    """The page."""
    room = Room(visitor)
    room.draw()
    await room.begin(visitor.request.query_params.get("c", ""))
