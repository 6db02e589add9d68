"""`hanlin generate`: text as it comes, or one JSON object; every mistake two lines and exit code 2."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hanlin.cli.visible import harmless
from hanlin.infer.event import Event
from hanlin.infer.model import Model

Run = Callable[..., Any]

HOSTILE = {
    "top_p": ["--top-p", "1.5"],
    "top_k": ["--top-k", "-3"],
    "min_p": ["--min-p", "2"],
    "typical_p": ["--typical-p", "0"],
    "temperature": ["--temperature", "-1"],
    "nan": ["--temperature", "nan"],
    "repetition": ["--repetition-penalty", "0"],
    "frequency": ["--frequency-penalty", "9"],
    "presence": ["--presence-penalty", "-9"],
    "max_tokens": ["--max-tokens", "0"],
    "n": ["--n", "0"],
    "many": ["--n", "100000"],
    "logprobs": ["--logprobs", "5000"],
    "seed": ["--seed", "-1"],
    "word": ["--top-k", "many"],
    "stop": ["--stop", ""],
    "overflow": ["--overflow", "cut"],
    "dtype": ["--dtype", "int8"],
    "unknown": ["--top-q", "1"],
    "system": ["--system", "Be brief."],
    "two models": ["-m", "one", "another"],
    "window": ["--max-tokens", "64"],
    "endless": ["--max-tokens", "1" + "0" * 30],
}


@pytest.mark.parametrize("arguments", HOSTILE.values(), ids=HOSTILE)
def test_a_wrong_setting_is_two_lines_and_exit_code_2(hanlin: Run, arguments: list[str]) -> None:
    done = hanlin("generate", "-p", "hello", *arguments)
    assert done.code == 2
    assert done.out == ""
    assert [line.startswith("  fix: ") for line in done.err.splitlines()] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "stdin", "what"),
    [
        ([], b"", "there is no prompt"),
        (["-p", ""], b"", "the prompt is empty"),
        (["-p", "-"], b"", "empty"),
        (["-p", "-"], b"\n", "the prompt is empty"),
        (["-p", "-"], b"caf\xe9 au lait", "byte 3 is 0xe9"),
        (["-p", "-"], b"a\0b", "zero byte"),
        (["-p", "caf\udce9"], b"", "half a character"),
        (["-p", "-"], b"x y " * 2_500_000, "about"),
        (["-p", "-", "--chat"], b"x y " * 2_500_000, "about"),
        (["-p", "-"], b"x" * 10_000_000, "about"),
    ],
    ids=["none", "empty", "no input", "line break", "latin-1", "zero byte", "surrogate", "10 MB", "10 MB chat", "word"],
)
def test_a_prompt_that_cannot_be_is_two_lines_and_exit_code_2(
    hanlin: Run, arguments: list[str], stdin: bytes, what: str
) -> None:
    done = hanlin("generate", *arguments, stdin=stdin)
    assert done.code == 2
    assert what in done.err.splitlines()[0]
    assert done.err.splitlines()[1].startswith("  fix: ")
    assert len(done.err) < 600


def test_text_streams_to_standard_output_and_a_cut_is_said(hanlin: Run, tiny_model: Model) -> None:
    done = hanlin("generate", "-p", "hello", "--max-tokens", "9", "--temperature", "1", "--seed", "4")
    events = list(tiny_model.generate("hello", max_tokens=9, temperature=1.0, seed=4))
    assert done.code == 0
    assert done.out == "".join(event.text for event in events) + "\n"
    assert ("cut at 9 tokens" in done.err) == (events[-1].finish == "length")


def test_several_answers_follow_each_other(hanlin: Run, tiny_model: Model) -> None:
    done = hanlin("generate", "-p", "hi", "--max-tokens", "5", "--temperature", "1", "--seed", "4", "--n", "3")
    for seed in (4, 5, 6):
        text = "".join(event.text for event in tiny_model.generate("hi", max_tokens=5, temperature=1.0, seed=seed))
        assert text in done.out
    assert "── 3 of 3" in done.out


def test_greedy_answers_that_will_be_the_same_are_noted(hanlin: Run) -> None:
    assert "the same" in hanlin("generate", "-p", "hi", "--max-tokens", "2", "--n", "2").err


def test_json_is_one_object_with_everything(hanlin: Run, tiny_model: Model) -> None:
    settings = {"max_tokens": 7, "temperature": 1.0, "seed": 4, "logprobs": 2, "n": 2}
    flags = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    done = hanlin("generate", "-p", "hello", "--json", *flags)
    told = json.loads(done.out)
    events = list(tiny_model.generate("hello", **settings))
    for index, answer in enumerate(told["answers"]):
        mine = [event for event in events if event.index == index]
        assert answer["text"] == "".join(event.text for event in mine)
        assert answer["tokens"] == [event.token for event in mine]
        assert answer["logprobs"] == pytest.approx([event.logprob for event in mine])
        assert [len(tops) for tops in answer["top_logprobs"]] == [2] * len(mine)
        assert answer["finish_reason"] == mine[-1].finish
        assert answer["seed"] == 4 + index
    assert told["text"] == told["answers"][0]["text"]
    assert told["model"] == "tiny"
    assert told["counts"] == {
        "prompt": len(tiny_model.tokenizer.encode("hello")),
        "completion": len(events),
        "dropped": 0,
    }
    assert set(told["seconds"]) == {"load", "prefill", "decode"}
    assert told["tokens_per_second"] > 0


def test_a_fresh_seed_is_reported_and_repeats_the_answer(hanlin: Run) -> None:
    arguments = ["generate", "-p", "hello", "--json", "--temperature", "2", "--max-tokens", "9"]
    first = json.loads(hanlin(*arguments).out)
    again = json.loads(hanlin(*arguments, "--seed", str(first["sampling"]["seed"])).out)
    assert first["tokens"] == again["tokens"]


def test_chat_goes_through_the_template(hanlin: Run, tiny_model: Model) -> None:
    done = hanlin("generate", "--chat", "--system", "be", "-p", "hi", "--json", "--max-tokens", "3")
    expected = "<turn>system: be<turn>user: hi<turn>"
    assert json.loads(done.out)["counts"]["prompt"] == len(tiny_model.tokenizer.encode(expected))


def test_one_line_break_at_the_end_of_standard_input_is_dropped(hanlin: Run) -> None:
    flags = ["--json", "--max-tokens", "2"]
    counts = [
        json.loads(hanlin("generate", "-p", "-", *flags, stdin=content).out)["counts"]["prompt"]
        for content in (b"hi", b"hi\n", b"hi\r\n", b"hi\n\n")
    ]
    assert counts == [2, 2, 2, 3]


def test_a_sliding_window_is_said_once(hanlin: Run) -> None:
    flags = ["--max-tokens", "150", "--overflow", "slide", "--temperature", "1", "--seed", "3"]
    done = hanlin("generate", "-p", "hello", "--json", *flags)
    if json.loads(done.out)["counts"]["completion"] > 100:
        assert done.err.count("the context window is full") == 1


def test_log_probabilities_without_json_stand_below_the_answer(hanlin: Run) -> None:
    done = hanlin("generate", "-p", "hello", "--max-tokens", "2", "--logprobs", "3")
    assert len(done.out.splitlines()[-1].split()) >= 5


def test_asking_for_help_loads_no_torch() -> None:
    code = "import sys, hanlin.cli.main as m; sys.argv[1:] = ['{}', '--help']\ntry: m.main()\nexcept SystemExit: pass"
    for verb in ("generate", "next", "score"):
        check = f"{code.format(verb)}\nassert 'torch' not in sys.modules"
        subprocess.run([sys.executable, "-c", check], check=True, stdout=subprocess.DEVNULL)


def test_ctrl_c_leaves_what_was_said_and_exit_code_130(hanlin: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: Any) -> Iterator[Event]:
        yield Event(0, 1, "so ", -1.0)
        yield Event(0, 2, "far", -1.0)
        raise KeyboardInterrupt

    monkeypatch.setattr("hanlin.infer.generate.generate", interrupted)
    done = hanlin("generate", "-p", "hello")
    assert (done.code, done.out) == (130, "so far")


def test_an_answer_cannot_steer_the_terminal() -> None:
    assert (
        harmless("a\x1b]0;title\x07\n\tb\x9b2J 翰林 🙂\r") == "a‹U+001B›]0;title‹U+0007›\n\tb‹U+009B›2J 翰林 🙂‹U+000D›"
    )
