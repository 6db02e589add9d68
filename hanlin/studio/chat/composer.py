"""Where one types: grows with the text, Enter sends, a file can be added, a meter says how full the window is."""

from typing import TYPE_CHECKING, Any

from nicegui import ui

from hanlin.studio.chat.tree import Message
from hanlin.studio.parts import box, button, labelled, words
from hanlin.studio.words import chat, common

if TYPE_CHECKING:
    from hanlin.studio.chat.room import Room

FILE_BYTES = 1_000_000


class Composer:
    """In the current slot."""

    def __init__(self, room: "Room") -> None:
        self.room = room
        say = room.say
        with box("composer"), box("sheet"):
            self.text = ui.textarea(placeholder=say(chat.PLACEHOLDER)).props("borderless autogrow dense autofocus")
            labelled(self.text, say(chat.MESSAGE))
            self.text.on("keydown.enter", self._send, js_handler=KEY)
            with box("row-line"):
                self.upload = ui.upload(on_upload=self._add, auto_upload=True, max_file_size=FILE_BYTES)
                self.upload.classes("hidden-upload").props('aria-hidden="true"')
                button("attach_file", say(chat.ATTACH), lambda: self.upload.run_method("pickFiles"))
                with box("meter") as self.meter:
                    self.meter.props["role"] = "img"
                    box("track").props["aria-hidden"] = "true"
                    self.used = words("span", "")
                box("spring")
                words("span", say(chat.HINT), "keys")
                self.halt = button("stop", say(common.STOP), room.stop, "halt")
                self.go = button("arrow_upward", say(chat.SEND), self._send, "go")
        self.halt.set_visibility(False)
        self.meter.set_visibility(False)

    def _send(self, _: Any = None) -> None:
        if self.room.is_working:
            return
        text, self.text.value = self.text.value or "", ""
        self.room.send(text)

    async def _add(self, event: Any) -> None:
        """A file's text, below what was typed."""
        content, name = await event.file.read(), event.file.name
        self.upload.reset()
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            ui.notify(self.room.say(chat.ONLY_TEXT, name=name), type="warning", position="top")
            return
        fence = "```" if "```" not in text else "~~~~"
        self.text.value = f"{self.text.value or ''}\n\n{name}\n{fence}\n{text.rstrip()}\n{fence}\n".lstrip()

    def work(self, is_working: bool) -> None:
        """Stop stands where send was."""
        self.halt.set_visibility(is_working)
        self.go.set_visibility(not is_working)

    def measure(self, path: list[Message]) -> None:
        """How full the window is."""
        stats = next((one.stats for one in reversed(path) if one.stats.get("context")), None)
        self.meter.set_visibility(stats is not None)
        if stats is None:
            return
        used = stats["prompt"] + stats.get("tokens", 0)
        told = self.room.say(chat.CONTEXT, used=f"{used:,}", context=f"{stats['context']:,}")
        self.used.text = f"{used:,} / {stats['context']:,}"
        self.meter.props["aria-label"] = self.meter.props["title"] = told
        self.meter.style(f"--share: {min(1, used / stats['context']):.4f}")


KEY = """(event) => {
  if (event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  emit();
}"""
"""Enter while a Chinese word is being composed chooses the word."""
