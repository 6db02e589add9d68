"""The input line, driven by keys as a terminal sends them, and by pipes."""

import asyncio
import io
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import fragment_list_to_text
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from cli.chat.faketalker import FakeTalker
from hanlin.cli.chat.prompt import SlashCompleter, from_pipe, from_terminal, history, terminal_session, toolbar
from hanlin.cli.chat.talk import Talk
from hanlin.cli.chat.words import Words
from hanlin.core.errors import DataError

EN = Words("en")
ENTER, ALT_ENTER, CTRL_C, CTRL_D = "\r", "\x1b\r", "\x03", "\x04"
Typed = Callable[[str], tuple[list[str], list[str]]]


@pytest.fixture
def typed() -> Iterator[Typed]:
    """`typed(keys)`: the questions that come out, and what was said meanwhile."""

    def type_keys(keys: str) -> tuple[list[str], list[str]]:
        said: list[str] = []
        with create_pipe_input() as keyboard:
            session = terminal_session(Talk(FakeTalker()), EN, InMemoryHistory(), input=keyboard, output=DummyOutput())
            keyboard.send_text(keys)
            return list(from_terminal(session, said.append, EN)), said

    yield type_keys


def test_enter_sends_and_control_d_leaves(typed: Typed) -> None:
    assert typed(f"hello{ENTER}你好{ENTER}{CTRL_D}") == (["hello", "你好"], [])


def test_empty_lines_are_not_sent(typed: Typed) -> None:
    assert typed(f"{ENTER}  {ENTER}x{ENTER}{CTRL_D}") == (["x"], [])


def test_alt_enter_or_a_backslash_begins_a_new_line(typed: Typed) -> None:
    assert typed(f"one{ALT_ENTER}two{ENTER}{CTRL_D}")[0] == ["one\ntwo"]
    assert typed(f"one\\{ENTER}two{ENTER}{CTRL_D}")[0] == ["one\ntwo"]


def test_pasted_lines_stay_one_question(typed: Typed) -> None:
    assert typed(f"\x1b[200~one\ntwo\x1b[201~{ENTER}{CTRL_D}")[0] == ["one\ntwo"]


def test_control_c_clears_the_line_first_then_asks_then_leaves(typed: Typed) -> None:
    with create_pipe_input() as keyboard:
        session = terminal_session(Talk(FakeTalker()), EN, InMemoryHistory(), input=keyboard, output=DummyOutput())
        said: list[str] = []
        lines = from_terminal(session, said.append, EN)

        def type_slowly() -> None:
            for keys in (f"draft{CTRL_C}", f"kept{ENTER}", CTRL_C, f"again{ENTER}", CTRL_C, CTRL_C):
                time.sleep(0.15)  # one prompt after the other, as a person has them
                keyboard.send_text(keys)

        hand = threading.Thread(target=type_slowly)
        hand.start()
        assert list(lines) == ["kept", "again"]
        hand.join()
        assert said == [EN("leave"), EN("leave")]


def complete(text: str) -> list[str]:
    async def gather() -> list[str]:
        event = CompleteEvent(completion_requested=True)
        return [found.text async for found in SlashCompleter(EN).get_completions_async(Document(text), event)]

    return asyncio.run(gather())


def test_slash_commands_settings_and_files_are_completed(tmp_path: Path) -> None:
    (tmp_path / "talk.json").write_text("")
    assert complete("/re") == ["retry", "reset"]
    assert complete("/params temp") == ["temperature="]
    assert complete("/params top_k=3 min") == ["min_tokens=", "min_p="]
    assert complete(f"/load {tmp_path}/ta") == ["lk.json"]
    assert complete("hello /re") == []
    assert complete("/params n") == []


def test_the_meter_shows_how_full_the_window_is() -> None:
    talk = Talk(FakeTalker(context=1000), used=500)
    shown = fragment_list_to_text(toolbar(talk, EN, 80))
    assert "━━━━━━━━━━──────────" in shown
    assert "500 / 1,000" in shown
    talk.used = 5000
    assert "─" not in fragment_list_to_text(toolbar(talk, EN, 80))
    assert len(fragment_list_to_text(toolbar(talk, EN, 40))) <= 40


def test_the_history_is_for_this_users_eyes_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "home"))
    past = history(EN, print)
    assert isinstance(past, FileHistory)
    past.append_string("你好\nzwei")
    assert stat.S_IMODE((tmp_path / "home" / "chat_history").stat().st_mode) == 0o600
    assert list(FileHistory(str(tmp_path / "home" / "chat_history")).load_history_strings()) == ["你好\nzwei"]


def test_a_home_that_cannot_be_written_is_told_and_the_chat_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "file" / "home"))
    said: list[str] = []
    assert isinstance(history(EN, said.append), InMemoryHistory)
    assert len(said) == 1


def pipe(content: bytes, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    return list(from_pipe())


def test_piped_lines_are_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pipe("one\r\n\n  \n你好".encode(), monkeypatch) == ["one", "你好"]
    assert pipe(b"", monkeypatch) == []


def test_piped_bytes_that_are_no_text_are_told_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="line 2, byte 1 is 0xff"):
        pipe(b"one\na\xff\n", monkeypatch)
