"""The chat as a whole: scripts through a pipe with a scripted model, and a conversation with the real one."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cli.chat.faketalker import FakeTalker
from hanlin.cli.chat.loop import Loop, open_talk
from hanlin.cli.chat.slash import run
from hanlin.cli.chat.talk import Talk
from hanlin.cli.chat.words import Words
from hanlin.cli.main import main
from hanlin.core.errors import RefusedError
from hanlin.infer.sampling import Sampling
from infer import tiny


class Script:
    """Runs lines through a chat and keeps both outputs."""

    def __init__(self, talk: Talk, lang: str = "en") -> None:
        self.talk = talk
        self.out, self.err = io.StringIO(), io.StringIO()
        consoles = (Console(file=file, width=100, highlight=False) for file in (self.out, self.err))
        self.loop = Loop(Words("zh" if lang == "zh" else "en"), *consoles)

    def run(self, *lines: str) -> "Script":
        self.loop.talk(self.talk, iter(lines))
        return self


def test_answers_go_to_the_output_and_all_else_beside_it() -> None:
    script = Script(Talk(FakeTalker())).run("hello", "/stats", "again")
    assert script.out.getvalue() == "HELLO\nAGAIN\n"
    assert "answers: 1" in script.err.getvalue()
    assert script.loop.failures == 0


def test_errors_are_two_lines_and_the_chat_goes_on() -> None:
    script = Script(Talk(FakeTalker())).run("/nope", "/load /no/such", "/params top_p=9", "hello")
    assert script.out.getvalue() == "HELLO\n"
    assert script.err.getvalue().count("  fix: ") == 3
    assert script.loop.failures == 3


def test_quit_ends_the_script() -> None:
    assert Script(Talk(FakeTalker())).run("/quit", "hello").out.getvalue() == ""


def test_two_slashes_send_a_message_that_begins_with_one() -> None:
    talk = Talk(FakeTalker())
    Script(talk).run("//help me")
    assert talk.messages[0].content == "/help me"


def test_retry_answers_again_and_keeps_one_copy() -> None:
    talk = Talk(FakeTalker())
    assert Script(talk).run("one", "/retry").out.getvalue() == "ONE\nONE\n"
    assert len(talk.messages) == 2


def test_a_cut_answer_says_what_cut_it() -> None:
    full = Script(Talk(FakeTalker(), sampling=Sampling(max_tokens=2))).run("a long question")
    assert "max_tokens = 2" in full.err.getvalue()
    assert "window is full" in Script(Talk(FakeTalker(context=50))).run("x" * 110).err.getvalue()


def test_a_full_window_is_told_and_sliding_is_told_too() -> None:
    questions = ["twenty characters..."] * 12
    strict = Script(Talk(FakeTalker(context=100))).run(*questions)
    assert "/reset" in strict.err.getvalue()
    assert strict.loop.failures > 0
    sliding = Script(Talk(FakeTalker(context=100), sampling=Sampling(overflow="slide", max_tokens=20))).run(*questions)
    assert "no longer shown" in sliding.err.getvalue()
    assert sliding.loop.failures == 0


def test_control_c_stops_the_answer_keeps_what_was_said_and_the_chat_goes_on() -> None:
    model = FakeTalker(interrupt_after=2)
    script = Script(Talk(model))
    script.loop.is_typed = True
    script.run("abcdefghij")
    model.interrupt_after = None
    script.run("next")
    assert [message.content for message in script.talk.messages] == ["abcdefghij", "ABCDEF", "next", "NEXT"]
    assert Words("en")("stopped") in script.err.getvalue()


def test_in_a_script_control_c_ends_it() -> None:
    with pytest.raises(KeyboardInterrupt):
        Script(Talk(FakeTalker(interrupt_after=1))).run("abcdefghij")


def test_the_chat_speaks_chinese() -> None:
    assert "对话重新开始" in Script(Talk(FakeTalker()), "zh").run("/reset").err.getvalue()


def chat(*arguments: str, lines: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    verb = [sys.executable, "-c", "from hanlin.cli.main import main; main()", "chat", *arguments]
    environment = {**os.environ, **env}
    return subprocess.run(verb, input=lines, capture_output=True, text=True, check=False, env=environment, timeout=120)


def test_the_real_model_remembers_the_conversation_saves_it_and_goes_on(smollm2: Path, tmp_path: Path) -> None:
    saved = tmp_path / "talk.json"
    lines = f"What is the capital of France?\n/params max_tokens=12\n/save {saved}\n/stats\n"
    done = chat(str(smollm2), "--lang", "en", lines=lines)
    assert done.stdout == "The capital of France is Paris.\n"
    assert done.returncode == 0, done.stderr
    assert [message["role"] for message in json.loads(saved.read_text())["messages"]] == ["user", "assistant"]
    again = chat(str(smollm2), "--load", str(saved), "--lang", "zh", lines="And of Italy?\n/wrong\n")
    assert "Rome" in again.stdout
    assert "已从" in again.stderr
    assert "fix:" in again.stderr
    assert again.returncode == 2


def test_the_users_own_template_takes_the_place_of_the_models(smollm2: Path, tmp_path: Path) -> None:
    (tmp_path / "t.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}{{ raise_exception('mine') }}")
    done = chat(str(smollm2), "--template", str(tmp_path / "t.jinja"), "--lang", "en", lines="hello\n")
    assert done.returncode == 2
    assert "mine" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--template", "/no/such.jinja"), "cannot be read"),
        (("--template", "/"), "cannot be read"),
        (("--load", "/no/such.json"), "cannot be read"),
        (("--load", "/"), "folder"),
        (("--temperature", "-1"), "temperature"),
        (("--top-p", "7"), "top_p"),
        (("-m", "other"), "two models"),
        (("--lang", "fr"), "fr"),
    ],
)
def test_wrong_options_are_two_lines_and_code_2_before_any_model_is_opened(
    arguments: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["hanlin", "chat", "no-such-model", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert says in lines[0]
    assert lines[1].startswith("  fix: ")
    assert len(lines) == 2


def test_a_model_without_a_template_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = FakeTalker()
    model.tokenizer = replace(tiny.tokenizer(), template=None)
    monkeypatch.setattr("hanlin.cli.models.open_model", lambda *given: model)
    with pytest.raises(RefusedError, match="no chat template") as caught:
        open_talk("fake", None)
    assert "--template FILE" in caught.value.fix
    assert "hanlin generate" in caught.value.fix


def test_what_is_given_beside_load_takes_the_place_of_what_was_saved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    talk = Talk(FakeTalker(), system="old")
    run(talk, "/params temperature=0.5 top_k=7", Words("en"))
    run(talk, f"/save {tmp_path / 'c.json'}", Words("en"))
    went_on: list[Talk] = []
    monkeypatch.setattr("hanlin.cli.chat.loop.open_talk", lambda *given: Talk(FakeTalker()))
    monkeypatch.setattr(Loop, "run", lambda self, talk: went_on.append(talk) or 0)
    for flags in ([], ["--temperature", "1", "--system", "new"]):
        monkeypatch.setattr(sys, "argv", ["hanlin", "chat", "--load", str(tmp_path / "c.json"), *flags])
        with pytest.raises(SystemExit):
            main()
    assert [(one.system, one.sampling.temperature, one.sampling.top_k) for one in went_on] == [
        ("old", 0.5, 7),
        ("new", 1.0, 7),
    ]
    assert all(one.sampling.max_tokens == 1024 for one in went_on)
