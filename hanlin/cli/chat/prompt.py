"""Where the questions come from: the input line of a terminal, or one question per line of piped text."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from hanlin.cli.chat.slash import COMMANDS, FIXED
from hanlin.cli.chat.talk import Talk
from hanlin.cli.chat.words import Words
from hanlin.core.errors import DataError
from hanlin.core.home import home
from hanlin.infer.sampling import Sampling

LONGEST_LINE_BYTES = 16 << 20
STYLE = Style.from_dict(
    {"bottom-toolbar": "noreverse fg:ansibrightblack", "full": "fg:ansired", "prompt": "bold fg:ansicyan"}
)


class SlashCompleter(Completer):
    """After a slash the commands, after /params the settings, after /save and /load the files."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """What may stand at the cursor."""
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        name, space, argument = text[1:].partition(" ")
        if not space:
            for command in COMMANDS:
                if command.startswith(name):
                    yield Completion(command, -len(name), display_meta=self.words(f"help_{command}"))
        elif name in ("save", "load"):
            yield from self.paths.get_completions(Document(argument), complete_event)
        elif name == "params":
            last = argument.rpartition(" ")[2]
            for field in Sampling.model_fields:
                if field.startswith(last) and field not in FIXED:
                    yield Completion(f"{field}=", -len(last))


def keys() -> KeyBindings:
    """Enter sends; Alt-Enter, or Enter after a backslash, begins a new line."""
    bindings = KeyBindings()

    @bindings.add("enter")
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    def _line(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    return bindings


def toolbar(talk: Talk, words: Words, columns: int) -> FormattedText:
    """The context-window meter: model, a bar, tokens used and the window."""
    share = min(1.0, talk.used / talk.context)
    filled = round(share * 20)
    counts = f"{talk.used:,} / {talk.context:,}"
    bar = f"{'━' * filled}{'─' * (20 - filled)}"
    name = talk.model.name if len(talk.model.name) <= 40 else f"…{talk.model.name[-39:]}"
    text = f" {name} · {words('toolbar')} "
    if columns < len(text) + len(counts) + 26:
        text = " "
    return FormattedText([("", text), ("class:full" if share > 0.85 else "", bar), ("", f" {counts}")])


def history(words: Words, say: Callable[[str], None]) -> History:
    """The questions of earlier chats, kept in the user's folder for this user's eyes alone."""
    path = home() / "chat_history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600))
    except OSError as error:
        say(words("no_history", reason=f"{path}: {error.strerror}"))
        return InMemoryHistory()
    return FileHistory(path)


def terminal_session(talk: Talk, words: Words, past: History, **devices: Any) -> PromptSession[str]:
    """The input line. `devices` are prompt_toolkit's `input` and `output`, for tests."""
    return PromptSession(
        message=[("class:prompt", "› ")],
        prompt_continuation="  ",
        multiline=True,
        key_bindings=keys(),
        completer=SlashCompleter(words),
        complete_while_typing=True,
        history=past,
        bottom_toolbar=lambda: toolbar(talk, words, get_app().output.get_size().columns),
        style=STYLE,
        reserve_space_for_menu=4,
        **devices,
    )


def from_terminal(session: PromptSession[str], say: Callable[[str], None], words: Words) -> Iterator[str]:
    """Questions as they are typed, until Ctrl-D or a second Ctrl-C at the empty line."""
    is_leaving = False
    while True:
        try:
            text = session.prompt()
        except EOFError:
            return
        except KeyboardInterrupt:
            if is_leaving and not session.default_buffer.text:
                return
            is_leaving = not session.default_buffer.text
            if is_leaving:
                say(words("leave"))
            continue
        is_leaving = False
        if text.strip():
            yield text


def from_pipe() -> Iterator[str]:
    """One question per line of standard input; empty lines are skipped.

    Raises:
        DataError: a line is no UTF-8 text, or longer than 16 MiB.
    """
    number = 0
    while line := sys.stdin.buffer.readline(LONGEST_LINE_BYTES + 1):
        number += 1
        if len(line) > LONGEST_LINE_BYTES:
            raise DataError(f"line {number} has more than {LONGEST_LINE_BYTES >> 20} MiB", "one question per line")
        try:
            text = line.decode("utf-8").strip("\r\n")
        except UnicodeDecodeError as error:
            what = f"standard input is not UTF-8 text: line {number}, byte {error.start} is 0x{line[error.start]:02x}"
            raise DataError(what, "convert it: iconv -f OLD -t UTF-8") from None
        if text.strip():
            yield text
