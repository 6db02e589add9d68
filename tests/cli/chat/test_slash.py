"""Slash commands: what they change, and that a wrong one changes nothing."""

import json
import re
from pathlib import Path

import pytest

from cli.chat.faketalker import FakeTalker
from hanlin.cli.chat import slash
from hanlin.cli.chat.slash import COMMANDS, is_command, run
from hanlin.cli.chat.talk import DEFAULTS, Talk
from hanlin.cli.chat.words import WORDS, Words
from hanlin.cli.commands import chat
from hanlin.core.errors import CapacityError, ConfigError, DataError, HanlinError, StoreError
from hanlin.text.message import Message

EN = Words("en")


@pytest.fixture
def talk() -> Talk:
    talk = Talk(FakeTalker(), system="be brief")
    for question in ("你好", "two"):
        list(talk.answer(question, talk.plan(question)))
    return talk


def test_both_languages_have_the_same_words_with_the_same_gaps() -> None:
    import string

    def gaps(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert {key: gaps(text) for key, text in WORDS["en"].items()} == {k: gaps(t) for k, t in WORDS["zh"].items()}


def test_every_word_is_said_somewhere() -> None:
    sources = Path(slash.__file__).parent.glob("*.py")
    text = "".join(path.read_text("utf-8") for path in sources if path.name != "words.py")
    text += Path(chat.__file__).read_text("utf-8")
    keys = {key for key in WORDS["en"] if not key.startswith("help_")} | {"help_keys", "help_slash"}
    assert not {key for key in keys if not re.search(f"[\"']{key}[\"']", text)}


def test_help_names_every_command_in_either_language(talk: Talk) -> None:
    for lang in WORDS:
        page = "\n".join(run(talk, "/help", Words(lang)).lines)
        assert all(f"/{name}" in page for name in COMMANDS)


def test_one_slash_is_a_command_and_two_are_a_message() -> None:
    assert is_command("/help")
    assert not is_command("//help")
    assert not is_command("help")


@pytest.mark.parametrize(("line", "meant"), [("/sve x", "/save"), ("/rest", "/reset"), ("/halp", "/help")])
def test_an_unknown_command_suggests_the_nearest(talk: Talk, line: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run(talk, line, EN)
    assert caught.value.fix == f"did you mean '{meant}'?"


def test_reset_keeps_the_system_message(talk: Talk) -> None:
    run(talk, "/reset", EN)
    assert (talk.messages, talk.system, talk.used) == ([], "be brief", 0)


def test_retry_asks_the_last_question_again(talk: Talk) -> None:
    assert run(talk, "/retry", EN).question == "two"
    assert len(talk.messages) == 2


def test_system_shows_sets_and_removes(talk: Talk) -> None:
    assert "be brief" in run(talk, "/system", EN).lines[0]
    run(talk, "/system 说中文", EN)
    assert talk.system == "说中文"
    run(talk, "/system -", EN)
    assert talk.system == ""


def test_params_are_checked_as_everywhere(talk: Talk) -> None:
    run(talk, '/params temperature=0.7 top_k=5 stop=\'["\\n", "a b"]\'', EN)
    assert (talk.sampling.temperature, talk.sampling.top_k, talk.sampling.stop) == (0.7, 5, ("\n", "a b"))
    assert any("temperature = 0.7" in line for line in run(talk, "/params", EN).lines)
    run(talk, "/params default", EN)
    assert talk.sampling == DEFAULTS


@pytest.mark.parametrize(
    "wrong",
    [
        "temprature=1",
        "temperature=hot",
        "temperature=-1",
        "top_p=3",
        "max_tokens=0",
        "top_p",
        "n=2",
        "stop='",
        "seed=1e99",
    ],
)
def test_wrong_params_change_nothing(talk: Talk, wrong: str) -> None:
    before = talk.sampling
    with pytest.raises(ConfigError) as caught:
        run(talk, f"/params top_k=9 {wrong}", EN)
    assert caught.value.fix
    assert talk.sampling == before


def test_a_saved_conversation_comes_back_whole(talk: Talk, tmp_path: Path) -> None:
    run(talk, "/params temperature=0.7", EN)
    run(talk, f"/save {tmp_path / 'talk one.json'}", EN)
    other = Talk(FakeTalker())
    lines = run(other, f"/load {tmp_path / 'talk one.json'}", EN).lines
    assert (other.system, other.messages, other.sampling) == (talk.system, talk.messages, talk.sampling)
    assert other.used == talk.used > 0
    assert len(lines) == 1  # the same model: nothing more to say
    plain = json.loads((tmp_path / "talk one.json").read_text("utf-8"))
    assert plain["messages"][1] == {"role": "user", "content": "你好"}


def test_a_conversation_with_another_model_says_so(talk: Talk, tmp_path: Path) -> None:
    run(talk, f"/save {tmp_path / 'x.json'}", EN)
    other = Talk(FakeTalker())
    other.model.name = "another"
    assert "fake" in run(other, f"/load {tmp_path / 'x.json'}", EN).lines[1]


GOOD = {"kind": "hanlin conversation", "model": "m", "messages": [{"role": "user", "content": "hi"}]}
BAD = {
    "empty": b"",
    "binary": bytes(range(256)),
    "cut": json.dumps(GOOD).encode()[:40],
    "deep": b"[" * 100_000,
    "list": b"[]",
    "foreign": b'{"messages": []}',
    "number": b"1e999",
    "role": json.dumps({**GOOD, "messages": [{"role": "root", "content": "x"}]}).encode(),
    "content": json.dumps({**GOOD, "messages": [{"role": "user", "content": 7}]}).encode(),
    "extra": json.dumps({**GOOD, "mesages": []}).encode(),
    "params": json.dumps({**GOOD, "params": {"top_p": 7}}).encode(),
    "late system": json.dumps({**GOOD, "messages": [*GOOD["messages"], {"role": "system", "content": "x"}]}).encode(),
    "other kind": json.dumps({**GOOD, "kind": "recipe"}).encode(),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_damaged_file_is_two_lines_and_changes_nothing(talk: Talk, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(BAD[kind])
    before = (list(talk.messages), talk.system, talk.sampling)
    with pytest.raises(DataError) as caught:
        run(talk, f"/load {path}", EN)
    assert "bad.json" in caught.value.what
    assert caught.value.fix
    assert (talk.messages, talk.system, talk.sampling) == before


@pytest.mark.parametrize("place", ["", "/", "/no/such/folder/x.json", "/proc/x.json", "/dev/null/x", "a\0b"])
def test_an_unwritable_place_is_two_lines(talk: Talk, place: str) -> None:
    for verb in ("save", "load"):
        with pytest.raises((ConfigError, DataError, StoreError, CapacityError)) as caught:
            run(talk, f"/{verb} {place}", EN)
        assert caught.value.fix


def test_a_failed_save_leaves_the_old_file(talk: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "talk.json"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CapacityError, match="No space left"):
        run(talk, f"/save {path}", EN)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_stats_count_what_was_said(talk: Talk) -> None:
    assert "answers: 2 · tokens: 2" in run(talk, "/stats", EN).lines[0]


def test_undo_on_an_empty_conversation_is_an_error() -> None:
    with pytest.raises(HanlinError):
        run(Talk(FakeTalker()), "/undo", EN)


def test_messages_with_names_and_tool_calls_survive_saving(tmp_path: Path) -> None:
    talk = Talk(FakeTalker())
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    talk.messages = [
        Message(role="user", content="hi", name="ann"),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="1", tool_call_id="a"),
    ]
    run(talk, f"/save {tmp_path / 't.json'}", EN)
    other = Talk(FakeTalker())
    run(other, f"/load {tmp_path / 't.json'}", EN)
    assert other.messages == talk.messages
