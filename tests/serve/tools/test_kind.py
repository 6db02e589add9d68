"""How models are told of tools: recognised kinds, rewritten conversations, refused mistakes."""

import copy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from hanlin.core.errors import ConfigError, TokenizerError
from hanlin.serve.tools.kind import kind_of
from hanlin.text.message import Message
from hanlin.text.template import ChatTemplate
from hanlin.text.tokenizer import Tokenizer
from infer.tiny import tokenizer as bytewise
from serve.tools.forms import TEMPLATES, TIME, TOOLS, WEATHER, tokenizer

CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "巴黎"}'}}
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "巴黎?"},
    {"role": "assistant", "content": "I look.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "22 °C"},
    {"role": "tool", "tool_call_id": "call_2", "content": "noon"},
    {"role": "user", "content": "Thanks"},
]


def with_template(source: str) -> Tokenizer:
    made = bytewise()
    return Tokenizer(made.backend, made.vocab_size, eos=made.eos, template=ChatTemplate(source, {}))


def test_arguments_reach_the_template_as_objects_and_all_else_as_it_came() -> None:
    given = copy.deepcopy(TALK)
    turns = kind_of(tokenizer("hermes")).messages(TALK, TOOLS)
    assert turns[2]["tool_calls"][0]["function"]["arguments"] == {"city": "巴黎"}
    turns[2] = TALK[2]
    assert turns == given == TALK
    message = Message(role="assistant", tool_calls=(CALL,))
    assert kind_of(tokenizer("hermes")).messages([message])[0]["tool_calls"][0]["id"] == "call_1"


def test_ids_become_what_the_template_takes_and_still_match() -> None:
    turns = kind_of(tokenizer("listed")).messages(TALK, TOOLS)
    made = turns[2]["tool_calls"][0]["id"]
    assert made.isalnum() and len(made) == 9
    assert turns[3]["tool_call_id"] == made != turns[4]["tool_call_id"]


def test_a_template_that_knows_no_tools_is_given_them_in_words_and_calls_as_text() -> None:
    kind = kind_of(tokenizer("plain"))
    assert (kind.name, kind.renders_tools) == ("plain", False) and "described" in kind.notices[0]
    system, user, said, results, thanks = kind.messages(TALK, TOOLS)
    assert system["content"].startswith("Be brief.\n\n# Tools") and '"name": "现在"' in system["content"]
    assert (user, thanks) == (TALK[1], TALK[5])
    call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "巴黎"}}\n</tool_call>'
    assert said == {"role": "assistant", "content": f"I look.\n{call}"}
    returned = "The function returned:\n22 °C\n\nThe function returned:\nnoon\n\nNow answer my question in words."
    assert results == {"role": "user", "content": returned}
    assert kind.messages(TALK[:5], TOOLS)[-1] == results
    assert kind.messages(TALK[1:2], TOOLS)[0]["role"] == "system"
    assert kind.messages(TALK[:2]) == TALK[:2]


def test_without_system_messages_the_tools_stand_before_the_first_question() -> None:
    source = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    kind = kind_of(with_template(source + "{{ m.role + m.content }}{% endfor %}"))
    (user,) = kind.messages(TALK[1:2], TOOLS)
    assert user["role"] == "user" and user["content"].startswith("# Tools") and user["content"].endswith("\n\n巴黎?")


def test_a_template_that_writes_calls_but_describes_no_tools_is_helped_with_that_alone() -> None:
    source = TEMPLATES["hermes"].replace("{%- if tools %}", "{%- if false %}")
    kind = kind_of(with_template(source))
    assert (kind.name, kind.renders_tools) == ("hermes", False) and "does not describe" in kind.notices[0]
    turns = kind.messages(TALK, TOOLS)
    assert "# Tools" in turns[0]["content"] and turns[3] == TALK[3]


@pytest.mark.parametrize(
    "source",
    [
        TEMPLATES["hermes"].replace("<tool_call>", "<call>"),
        "{# <tool_call> [TOOL_CALLS] #}{{ messages[0].content }}",
        "{{ raise_exception('never') }}",
    ],
)
def test_a_form_that_is_not_known_is_not_guessed(source: str) -> None:
    assert kind_of(with_template(source)).name == "plain"


PUBLISHED = {"qwen2_5": "hermes", "qwen3": "hermes", "qwen3_vl": "hermes", "llama3_1": "llama", "llama3_2": "llama"}
PUBLISHED |= {"gemma": "plain", "deepseekv3": "plain", "glm4moe": "plain", "qwen3_6": "plain", "cohere2": "plain"}


@pytest.mark.parametrize(("name", "kind"), PUBLISHED.items())
def test_published_templates_are_what_they_are(name: str, kind: str) -> None:
    spec = find_spec("trl")
    assert spec is not None and spec.submodule_search_locations
    path = Path(spec.submodule_search_locations[0]) / "chat_templates" / f"{name}.jinja"
    if not path.is_file():
        pytest.skip(f"this version of TRL has no {path.name}")
    found = kind_of(with_template(path.read_text("utf-8")))
    assert (found.name, found.renders_tools) == (kind, kind != "plain")
    assert found.form.between == ("\n" if kind == "hermes" else None)


def test_a_model_without_a_template_knows_no_tools() -> None:
    made = bytewise()
    with pytest.raises(TokenizerError, match="no chat template"):
        kind_of(Tokenizer(made.backend, made.vocab_size))


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ({"id": "x"}, r"messages\[0\]\.tool_calls\[0\] = .* is no call"),
        ({"function": {"name": "f", "arguments": '{"a'}}, "is no JSON object"),
        ({"function": {"name": "f", "arguments": "[1]"}}, "is no JSON object"),
    ],
)
def test_a_call_that_is_none_is_refused_by_its_place(call: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        kind_of(tokenizer("hermes")).messages([{"role": "assistant", "tool_calls": [call]}])


def entry(**changed: Any) -> dict[str, Any]:
    return {"type": "function", "function": {**WEATHER["function"], **changed}}


@pytest.mark.parametrize(
    ("tools", "what"),
    [
        ([entry(name="a b")], r"tools\[0\]\.function\.name = 'a b'"),
        ([WEATHER, TIME, WEATHER], r"tools\[2\]\.function\.name = 'get_weather' comes twice"),
        ([entry(paramters={})], "paramters is not a setting"),
        ([{**WEATHER, "type": "retrieval"}], r"tools\[0\]\.type = 'retrieval'"),
        ([entry(parameters={"type": "string"})], r"parameters\.type = 'string'"),
        ([{"type": "function"}], r"tools\[0\]\.function is missing"),
        ([entry(name=f"t{n}") for n in range(129)], "129 tools"),
    ],
)
def test_a_tool_that_is_none_is_refused_by_its_place(tools: list[Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what) as error:
        kind_of(tokenizer("hermes")).constraint(tools)
    assert error.value.fix


@pytest.mark.parametrize(
    "choice",
    [
        "get_wetter",
        {"type": "function", "function": {"name": "get_wetter"}},
        {"type": "function"},
        {"type": "web_search"},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
    ],
)
def test_a_choice_that_is_none_is_refused(choice: Any) -> None:
    with pytest.raises(ConfigError, match="tool_choice") as error:
        kind_of(tokenizer("hermes")).constraint(TOOLS, choice)
    assert error.value.fix
