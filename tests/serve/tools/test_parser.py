"""Parsing tool calls: whole, as they come, however cut; and what only looks like one."""

import json
import random
from collections.abc import Iterable
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers.utils.chat_parsing import parse_response

from hanlin.core.plugins import find
from hanlin.serve.tools.delta import CallArguments, CallBegin, CallEnd, Delta, Notice, TextDelta, joined
from hanlin.serve.tools.kind import FOLDER
from hanlin.serve.tools.parser import Parser

NAMES = ["get_weather", "现在", "get"]
CALL = '{"name": "get_weather", "arguments": {"city": "a}{</tool_call>\\"巴"}}'
FORMS = {
    "hermes": ("<tool_call>\n", "\n</tool_call>", "\n"),
    "llama": ("<|python_tag|>", "", "; "),
    "mistral": ("[TOOL_CALLS] [", "]", ""),
}


def parser(kind: str, is_strict: bool = False) -> Parser:
    return Parser(find(FOLDER, kind), NAMES, is_strict, random.Random(0))


def parsed(kind: str, pieces: Iterable[str], is_strict: bool = False) -> list[Delta]:
    it = parser(kind, is_strict)
    return joined([delta for piece in pieces for delta in it.push(piece)] + it.finish())


def said(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def made(deltas: list[Delta]) -> list[tuple[str, Any]]:
    """Names and arguments of the calls, each begun, told and ended in its turn."""
    calls: list[tuple[str, Any]] = []
    name, raw = "", ""
    for delta in deltas:
        if isinstance(delta, CallBegin):
            assert delta.index == len(calls)
            name, raw = delta.name, ""
        elif isinstance(delta, CallArguments):
            assert delta.index == len(calls)
            raw += delta.text
        elif isinstance(delta, CallEnd):
            assert delta == CallEnd(len(calls), is_whole=True)
            calls.append((name, json.loads(raw)))
    return calls


def cut(text: str, places: Iterable[int]) -> list[str]:
    """A text in pieces, some of them empty."""
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[begin:end] for begin, end in pairwise(edges)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
calls = st.tuples(st.sampled_from(NAMES), st.dictionaries(st.text(max_size=6), json_values, max_size=3))
words = st.text(st.sampled_from('ab <>[]{}"\\\n翰🙂'), max_size=12)
places = st.lists(st.integers(0, 10_000), max_size=12)


@st.composite
def answers(draw: st.DrawFn, kind: str) -> tuple[str, str, list[tuple[str, Any]]]:
    """An answer as a model of that kind may write it, what it says, and its calls."""
    lead, expected = draw(words), draw(st.lists(calls, min_size=1, max_size=3))
    lead = "T" + lead  # what begins as a call does without its mark is another matter
    opening, closing, between = FORMS[kind]
    written: list[str] = []
    for name, arguments in expected:
        is_ascii, indent = draw(st.booleans()), draw(st.sampled_from([None, 2]))
        keys = [("name", name), ("arguments", arguments)]
        if draw(st.booleans()):
            keys = keys[::-1]
        written.append(json.dumps(dict(keys), ensure_ascii=is_ascii, indent=indent))
    if kind == "mistral":
        text = lead + opening + ", ".join(written) + closing
    else:
        text = lead + between.join(opening + call + closing for call in written)
    return text, lead.rstrip(" \n"), expected


@pytest.mark.parametrize("kind", FORMS)
def test_calls_are_read_however_the_answer_is_cut(kind: str) -> None:
    @settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(answers(kind), places, st.booleans())
    def check(answer: tuple[str, str, list[tuple[str, Any]]], where: list[int], is_strict: bool) -> None:
        text, lead, expected = answer
        whole = parsed(kind, cut(text, where), is_strict)
        assert (said(whole), made(whole)) == (lead, expected)
        assert whole == parsed(kind, [text], is_strict)

    check()


SOUP = [
    "<tool_call>",
    "</tool_call>",
    "<|python_tag|>",
    "[TOOL_CALLS]",
    "[ARGS]",
    "[CALL_ID]",
    "abcdefghi",
    "```json\n",
]
SOUP += ['{"name": "', "get_weather", "现在", '", "arguments": ', '", "parameters": ', "{}", "}", "{", "[", "]", ", "]
SOUP += [
    CALL,
    '{"a": [1, -2.5e3, null, "\\u7ff0"]}',
    "\n",
    " ",
    '"',
    "\\",
    "`",
    ";",
    "hm",
    "翰",
    "1",
    "tru",
    "```",
    "\x00",
]


@pytest.mark.parametrize("kind", FORMS)
def test_any_text_gives_the_same_however_it_is_cut_and_nothing_is_lost(kind: str) -> None:
    @settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.sampled_from(SOUP), max_size=14).map("".join), places)
    def check(text: str, where: list[int]) -> None:
        for is_strict in (False, True):
            whole = parsed(kind, [text], is_strict)
            assert parsed(kind, cut(text, where), is_strict) == whole == parsed(kind, text, is_strict)
            begun = [delta for delta in whole if isinstance(delta, CallBegin)]
            if not begun:
                assert said(whole) == text
            told = [delta.text for delta in whole if isinstance(delta, TextDelta | CallArguments)]
            place = 0
            for piece in told:  # in the order of the text, each of its characters at most once
                place = text.index(piece, place) + len(piece)
        held = parsed(kind, [text])
        made(held)
        assert all(delta.name in NAMES for delta in held if isinstance(delta, CallBegin))

    check()


def response(text: str) -> dict[str, Any]:
    """What Transformers' own parser makes of a Hermes answer."""
    fields = {
        "tool_calls": {"open_pattern": r"\s*<tool_call>", "close": "</tool_call>", "repeats": True, "content": "json"},
        "content": {"close": "<|im_end|>", "content": "text"},
    }
    return parse_response(text, {"start_anchor": "<s>", "fields": fields}, prefix="<s>")


def test_hermes_calls_are_those_that_transformers_reads() -> None:
    plain = json.dumps({"name": "现在", "arguments": {"zone": ["UTC", {"x": 1.5}]}}, ensure_ascii=False)
    for lead in ("", "I will look. "):
        text = f"{lead}<tool_call>\n{plain}\n</tool_call>\n<tool_call>\n{plain}\n</tool_call>"
        theirs, ours = response(text), parsed("hermes", text)
        assert made(ours) == [(call["name"], call["arguments"]) for call in theirs["tool_calls"]]
        assert len(made(ours)) == 2
        assert said(ours) == theirs.get("content", "").rstrip()


def test_a_closing_mark_within_an_argument_is_part_of_it() -> None:
    expected = [("get_weather", {"city": 'a}{</tool_call>"巴'})]
    assert made(parsed("hermes", [f"<tool_call>{CALL}</tool_call>"])) == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("mistral", '[TOOL_CALLS]get_weather[ARGS]{"x": 1}[TOOL_CALLS]get[ARGS]{}'),
        ("mistral", '[TOOL_CALLS]get_weather{"x": 1}[TOOL_CALLS] get [ARGS] {}'),
        ("mistral", '[TOOL_CALLS][{"name":"get_weather","arguments":{"x": 1},"id":"abcdefghi"},{"name":"get"}]'),
        ("llama", '{"name": "get_weather", "parameters": {"x": 1}}; {"name": "get", "parameters": null}'),
        ("llama", '<|python_tag|>{"type": "function", "name": "get_weather", "parameters": {"x": 1}};{"name": "get"}'),
        ("hermes", '<tool_call>{"name": "get_weather", "arguments": "{\\"x\\": 1}"}<tool_call>{"name": "get"}'),
        ("hermes", '<tool_call>[{"name": "get_weather", "arguments": {"x": 1}}, {"name": "get"}]</tool_call>'),
        ("hermes", '{"name": "get_weather", "arguments": {"x": 1}}\n{"name": "get", "arguments": {}}'),
        ("hermes", '```json\n{"name": "get_weather", "arguments": {"x": 1}}\n```\n```\n{"name": "get"}\n```'),
    ],
)
def test_spellings_that_models_use(kind: str, text: str) -> None:
    for is_strict in (False, True):
        whole = parsed(kind, text, is_strict)
        assert (said(whole), made(whole)) == ("", [("get_weather", {"x": 1}), ("get", {})])
        marks = find(FOLDER, kind)
        is_bare = not marks.IS_BARE and text[0] in "`{"
        assert [type(delta) for delta in whole].count(Notice) == int(is_bare)


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (
            "hermes",
            'So: <tool_call>{"name": "no_tool", "arguments": {}}</tool_call>!',
            "'no_tool' is none of the tools",
        ),
        ("hermes", '<tool_call>\n{"name": "get", "arguments": {"a": 01}}', "'01' is no number"),
        ("hermes", '<tool_call>{"name": "get", "arguments": [1]}</tool_call>', "no JSON object"),
        ("hermes", '<tool_call>{"arguments": {}}</tool_call>', "names no tool"),
        ("hermes", "Write <tool_call> to call.", "'t' begins no call"),
        ("hermes", '<tool_call>{"name": "get", "arguments": {"a": "\n"}}', "control character"),
        ("hermes", '<tool_call>{"name": "get", "argum', "ended within it"),
        ("mistral", "[TOOL_CALLS]got[ARGS]{}", "none of the tools"),
        ("mistral", "[TOOL_CALLS]get[CALL_ID]short[ARGS]{}", "9 letters"),
        ("llama", "<|python_tag|>print(1)", "begins no call"),
        ("llama", '{"name": "get", "parameters": {"a": truth}}', "is no JSON"),
    ],
)
def test_what_only_looks_like_a_call_is_text_unchanged_and_said_to_be(kind: str, text: str, reason: str) -> None:
    whole = parsed(kind, text)
    assert said(whole) == text
    assert [reason in delta.what for delta in whole if isinstance(delta, Notice)] == [True]


@pytest.mark.parametrize(
    "text", ['{"name": "Bob", "age": 3}', '{"a": 1}', "```python\nprint()\n```", "{", "`x`", "[1]"]
)
def test_json_and_code_that_name_no_tool_are_text_without_a_notice(text: str) -> None:
    for kind in FORMS:
        assert parsed(kind, text) == [TextDelta(text)]


def test_json_that_is_no_call_is_not_kept_waiting() -> None:
    it = parser("hermes")
    assert it.push('{"title"') and it.push(": 1") == [TextDelta(": 1")]


def test_a_broken_call_does_not_hide_the_next_one() -> None:
    whole = parsed("hermes", ['<tool_call><tool_call>{"name": "get"}</tool_call> done'])
    assert said(whole) == "<tool_call>done" and made(whole) == [("get", {})]


def test_a_strict_parser_tells_arguments_as_they_come_and_another_when_they_are_whole() -> None:
    head, tail = '<tool_call>{"name": "get", "arguments": {"a": "b', 'c"}}</tool_call>'
    strict, held = parser("hermes", is_strict=True), parser("hermes")
    begun = [type(delta) for delta in strict.push(head)]
    assert begun == [CallBegin, CallArguments] and held.push(head) == []
    assert strict.push(tail) == [CallArguments(0, 'c"}'), CallEnd(0)]
    assert made(held.push(tail)) == [("get", {"a": "bc"})]


def test_an_answer_that_ends_within_a_strict_call_says_so() -> None:
    whole = parsed("hermes", ['<tool_call>{"name": "get", "arguments": {"a'], is_strict=True)
    assert whole[1:3] == [CallArguments(0, '{"a'), CallEnd(0, is_whole=False)]
    assert isinstance(whole[3], Notice)


def test_a_call_is_whole_when_only_its_frame_was_cut() -> None:
    for text in ('<tool_call>{"name": "get", "arguments": {}', '<tool_call>{"name": "get"}\n</tool_c'):
        whole = parsed("hermes", text)
        assert (said(whole), made(whole)) == ("", [("get", {})])


def test_ids_are_fresh_and_in_the_form_of_the_kind() -> None:
    def ids(kind: ModuleType) -> list[str]:
        rng = random.Random(5)
        return [kind.call_id(rng) for _ in range(3)]

    hermes, mistral = ids(find(FOLDER, "hermes")), ids(find(FOLDER, "mistral"))
    assert len({*hermes}) == 3 and all(one.startswith("call_") and len(one) == 29 for one in hermes)
    assert len({*mistral}) == 3 and all(one.isalnum() and len(one) == 9 for one in mistral)
    given_id = parsed("mistral", ["[TOOL_CALLS]get[CALL_ID]a1B2c3D4e[ARGS]{}"])[0]
    assert given_id == CallBegin(0, "a1B2c3D4e", "get")
