"""The list of conversations: searched, opened, exported, imported, deleted with a way back."""

import json
import re
from typing import TYPE_CHECKING, Any

from nicegui import background_tasks, ui

from hanlin.core.errors import DataError
from hanlin.studio.chat import store
from hanlin.studio.chat.store import Entry
from hanlin.studio.chat.tree import from_plain
from hanlin.studio.parts import action, box, button, labelled, telling, words
from hanlin.studio.words import chat

if TYPE_CHECKING:
    from hanlin.studio.chat.room import Room

FILE_BYTES = 50_000_000


class Shelf:
    """In the current slot."""

    def __init__(self, room: "Room") -> None:
        self.room = room
        say = room.say
        self._entries: list[Entry] | None = None
        with box("shelf", "aside") as aside:
            aside.props["aria-label"] = say(chat.CONVERSATIONS)
            action(say(chat.NEW), self._new, "add", "new")
            self.search = ui.input(placeholder=say(chat.SEARCH)).props("dense outlined clearable debounce=250")
            self.search.classes("search").on_value_change(self._searched)
            labelled(self.search, say(chat.SEARCH))
            self.list = box("entries")
            with box("shelf-foot"):
                self.upload = ui.upload(on_upload=self._import, auto_upload=True, max_file_size=FILE_BYTES)
                self.upload.classes("hidden-upload").props('accept=".json" aria-hidden="true"')
                button("file_upload", say(chat.IMPORT), lambda: self.upload.run_method("pickFiles"))
                button("data_object", say(chat.EXPORT_JSON), lambda: self._export("json"))
                button("article", say(chat.EXPORT_MARKDOWN), lambda: self._export("md"))

    def _new(self) -> None:
        self.room.open(self.room._fresh())
        background_tasks.create(self.fill())

    async def _searched(self, _: Any) -> None:
        await self.fill()

    async def fill(self) -> None:
        """As the database has it now."""
        state, owner = self.room.visitor.server.state, self.room.visitor.owner
        with telling(self.room.visitor):
            wanted = self.search.value or ""
            entries = list(await store.listed(state, owner, wanted))
            self.list.clear()
            with self.list:
                for entry in entries:
                    self._entry(entry)
                if not entries:
                    words("p", self.room.say(chat.NOTHING_FOUND if wanted else chat.NO_CONVERSATIONS), "help")

    def _entry(self, entry: Entry) -> None:
        is_open = entry.id == self.room.talk.id
        with box(f"entry {'open' if is_open else ''}"):
            made = (
                ui.button(on_click=lambda: self._open(entry), color=None)
                .props("flat no-caps align=left")
                .classes("entry-title")
            )
            made.props["aria-label"] = entry.title or self.room.say(chat.UNTITLED)
            if is_open:
                made.props["aria-current"] = "true"
            with made:
                words("span", entry.title or self.room.say(chat.UNTITLED))
            button("delete_outline", self.room.say(chat.DELETE), lambda: self._drop(entry), "small drop")

    async def _open(self, entry: Entry) -> None:
        with telling(self.room.visitor):
            found = await store.found(self.room.visitor.server.state, self.room.visitor.owner, entry.id)
            if found is not None:
                self.room.open(found)
            await self.fill()
            self.room.client.run_javascript("hanlin.narrow('.chat', 'with-shelf')")

    async def _drop(self, entry: Entry) -> None:
        visitor = self.room.visitor
        with telling(visitor):
            found = await store.found(visitor.server.state, visitor.owner, entry.id)
            await store.dropped(visitor.server.state, visitor.owner, entry.id)
            if entry.id == self.room.talk.id:
                self.room.open(self.room._fresh())
            await self.fill()
            if found is None:
                return

            async def undo() -> None:
                await store.kept(visitor.server.state, visitor.owner, found)
                await self.fill()

            self._undo(undo)

    def _undo(self, undo: Any) -> None:
        with self.list:
            action(self.room.say(chat.UNDO), undo, "undo", "undo")

    def _export(self, kind: str) -> None:
        talk = self.room.talk
        name = re.sub(r"[^\w-]+", "-", talk.title).strip("-")[:40] or "hanlin"
        text = json.dumps(talk.plain(), ensure_ascii=False, indent=1) if kind == "json" else talk.markdown()
        ui.download.content(text, f"{name}.{kind}")

    async def _import(self, event: Any) -> None:
        with telling(self.room.visitor):
            content = await event.file.read()
            self.upload.reset()
            try:
                values = json.loads(content)
            except ValueError as error:
                raise DataError(f"{event.file.name} is not JSON: {error}", "choose an exported conversation") from None
            if not isinstance(values, dict):
                raise DataError(f"{event.file.name} holds no conversation", "choose an exported conversation")
            talk = from_plain({**values, "id": ""})
            visitor = self.room.visitor
            await store.kept(visitor.server.state, visitor.owner, talk)
            self.room.open(talk)
            await self.fill()
            with self.room.client:
                ui.notify(self.room.say(chat.IMPORTED, title=talk.title), type="positive", position="top")
