"""What constraints on tool calls let through: exactly calls of the tools there are, with arguments that fit."""

import json
import random
from typing import Any

import jsonschema
import pytest

from hanlin.core.errors import ConfigError
from hanlin.infer.constraint import Constraint
from hanlin.infer.guide import Guide, guide
from hanlin.serve.tools.delta import CallArguments, CallBegin, CallEnd, TextDelta, joined
from hanlin.serve.tools.kind import ToolKind, kind_of
from hanlin.text.tokenizer import Tokenizer
from serve.tools.forms import TEMPLATES, TOOLS, WEATHER, tokenizer, tool

FORMS = sorted(TEMPLATES)
PARIS = {"city": '巴黎 \\ "x" }'}
CALLS = {
    "hermes": '<tool_call>\n{"name": "get_weather", "arguments": %s}\n</tool_call>',
    "plain": '<tool_call>\n{"name": "get_weather", "arguments": %s}\n</tool_call>',
    "llama": '{"name": "get_weather", "parameters": %s}',
    "tagged": '<|python_tag|>{"name": "get_weather", "parameters": %s}',
    "listed": '[TOOL_CALLS] [{"name": "get_weather", "arguments": %s}]',
    "named": "[TOOL_CALLS]get_weather[ARGS]%s",
    "numbered": "[TOOL_CALLS]get_weather[CALL_ID]a1B2c3D4e[ARGS]%s",
}


def call(form: str, arguments: str = json.dumps(PARIS, ensure_ascii=False)) -> str:
    return CALLS[form] % arguments


def start(form: str, has_marks: bool, choice: Any = "auto", parallel: bool = True) -> tuple[Guide, Tokenizer]:
    made = tokenizer(form, has_marks)
    constraint = kind_of(made).constraint(TOOLS, choice, parallel)
    assert isinstance(constraint, Constraint)
    return guide(constraint, made, made.vocab_size), made


def follows(place: Guide, made: Tokenizer, text: str) -> str:
    """How far a text follows: "whole", "begun" (more must come), or what of it is refused."""
    it = place.copy()
    tokens = made.encode(text, add_special=False)
    for count, token in enumerate(tokens):
        if it._forbidden[token]:
            return made.decode(tokens[count:])
        it.accept(token)
    return "whole" if it.is_finished or not it._forbidden[made.eos[0]] else "begun"


@pytest.mark.parametrize("has_marks", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_auto_leaves_text_free_and_holds_a_call_once_it_is_opened(form: str, has_marks: bool) -> None:
    place, made = start(form, has_marks)
    for text in (
        "",
        "Hello { \n翰林",
        '{"name": "Bob"}',
        "```python\nx = 1\n```",
        call(form),
        f"I look. {call(form)}"[:9],
    ):
        assert follows(place, made, text) == "whole"
    for bad in ('{"city": 1}', '{"town": "x"}', '{"city": "x", "y": 1}', "[]", "{}", '{"city": "\\u0041"}'):
        assert follows(place, made, call(form, bad)) != "whole"
    refused = call(form).replace("get_weather", "get_wetter")
    if form != "llama":  # its calls have no mark: JSON that names no tool is text
        assert follows(place, made, refused).startswith("tter")
        assert follows(place, made, f"I look.\n{call(form)}") == "whole"
    assert follows(place, made, call(form) + " So.").strip() in ("So.", "So", "o.")
    assert follows(place, made, '{"name": "get_weather", "arguments": {"city": 1}}').startswith("1")
    assert follows(place, made, '```json\n{\n "name": "get_weather",\n "arguments": {"city": "x"}\n}\n```') == "whole"


@pytest.mark.parametrize("has_marks", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_required_is_nothing_but_calls_and_a_name_is_that_tool(form: str, has_marks: bool) -> None:
    place, made = start(form, has_marks, "required")
    assert follows(place, made, call(form)) == "whole"
    assert follows(place, made, "Hello") == "Hello" and follows(place, made, "") == "begun"
    for choice in ("现在", {"type": "function", "function": {"name": "现在"}}):
        place, made = start(form, has_marks, choice)
        assert follows(place, made, call(form)).startswith("get_weather")
        assert (
            follows(place, made, call(form, '{"zone": "北京", "deep": [1]}').replace("get_weather", "现在")) == "whole"
        )


@pytest.mark.parametrize("form", ["hermes", "listed", "named", "numbered"])
def test_parallel_allows_several_calls_and_without_it_there_is_one(form: str) -> None:
    one = call(form)
    two = one.replace("}]", "}, " + one.partition("[{")[2].join(["{", ""])) if form == "listed" else f"{one}\n{one}"
    two = two.replace("\n[", "[") if form in ("named", "numbered") else two
    for choice in ("auto", "required"):
        assert follows(*start(form, True, choice), two) == "whole"
        assert follows(*start(form, True, choice, parallel=False), two) not in ("whole", "begun")
    selected = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [WEATHER]}}
    assert follows(*start(form, True, selected), two) == "whole"
    assert follows(*start(form, True, "get_weather"), two) not in ("whole", "begun")


def walk(kind: ToolKind, made: Tokenizer, constraint: Constraint, seed: int) -> str | None:
    """What a model that knows nothing says under a constraint; None if it does not come to an end soon."""
    it, chance = guide(constraint, made, made.vocab_size), random.Random(seed)
    stream = made.stream(shown=kind.opening_tokens)
    text = ""
    for _ in range(700):
        if it.is_finished or (not it._forbidden[made.eos[0]] and chance.random() < 0.3):
            return text + stream.finish()
        free = [token for token in range(made.vocab_size) if not it._forbidden[token] and token not in made.eos]
        closing = [token for token in free if made.token_text(token) in ('"', "}", "]", ",", "</tool_call>")]
        token = chance.choice(closing if closing and chance.random() < 0.6 else free)
        it.accept(token)
        text += stream.push(token)
    return None


@pytest.mark.parametrize("form", FORMS)
def test_whatever_a_constraint_lets_through_is_read_as_calls_whose_arguments_fit(form: str) -> None:
    made = tokenizer(form, has_marks=True)
    kind = kind_of(made)
    constraint = kind.constraint(TOOLS, "required")
    assert constraint is not None
    schemas = {entry["function"]["name"]: entry["function"]["parameters"] for entry in TOOLS}
    count = 0
    for seed in range(3):
        if (text := walk(kind, made, constraint, seed)) is None:
            continue
        parser = kind.parser(TOOLS, is_strict=True, rng=random.Random(1))
        deltas = joined([delta for char in text for delta in parser.push(char)] + parser.finish())
        begun = [delta for delta in deltas if isinstance(delta, CallBegin)]
        told = [delta for delta in deltas if isinstance(delta, CallArguments)]
        assert {type(delta) for delta in deltas} == {CallBegin, CallArguments, CallEnd}, text
        for begin, arguments in zip(begun, told, strict=True):
            jsonschema.validate(json.loads(arguments.text), schemas[begin.name])
            count += 1
    assert count


def test_marks_that_are_special_tokens_are_seen_by_the_parser_and_others_are_left_out() -> None:
    made = tokenizer("named", has_marks=True)
    kind = kind_of(made)
    tokens = made.encode(call("named") + "<turn>", add_special=False)
    text = made.stream(shown=kind.opening_tokens)
    parser = kind.parser(TOOLS)
    deltas = parser.push(text.push(*tokens)) + parser.finish()
    assert len(kind.opening_tokens) == 2 and not any(isinstance(delta, TextDelta) for delta in deltas)
    assert made.stream().push(*tokens) == "get_weather" + json.dumps(PARIS, ensure_ascii=False)


@pytest.mark.parametrize("form", ["hermes", "llama", "tagged"])
def test_text_may_hold_special_tokens_such_as_marks_of_thoughts_and_a_call_may_not(form: str) -> None:
    place, made = start(form, has_marks=True)
    assert follows(place, made, "<turn>Hm.<turn>{ x") == "whole"
    assert follows(place, made, f"<turn>Hm.<turn>{call(form)}") == "whole"
    assert follows(place, made, call(form).replace("巴", "<turn>")).startswith("<turn>")
    assert follows(place, made, "<turn>" + call(form).replace("city", "town")).startswith("town")


def test_without_a_choice_or_a_tool_there_is_no_constraint() -> None:
    kind = kind_of(tokenizer("hermes"))
    assert kind.constraint(TOOLS, "none") is None and kind.constraint([], "auto") is None


def test_a_schema_that_is_not_enforced_is_refused_by_its_keyword_unless_the_tool_is_not_strict() -> None:
    kind, bad = kind_of(tokenizer("hermes")), tool("find", text={"type": "string", "not": {"const": "x"}})
    with pytest.raises(ConfigError, match=r"tool 'find': parameters\.properties\.text\.not.*keyword 'not'") as error:
        kind.constraint([bad])
    assert '"strict": false' in error.value.fix
    bad["function"]["strict"] = False
    assert kind.constraint([bad]) is not None


def test_references_within_a_schema_keep_their_root() -> None:
    made = tokenizer("hermes")
    tree = {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/node"}},
        "required": ["tree"],
        "$defs": {"node": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
    }
    entry = {"type": "function", "function": {"name": "get_weather", "parameters": tree}}
    constraint = kind_of(made).constraint([entry], "required")
    assert constraint is not None
    place = guide(constraint, made, made.vocab_size)
    assert follows(place, made, call("hermes", '{"tree": [[], [[]]]}')) == "whole"
    assert follows(place, made, call("hermes", '{"tree": [1]}')).startswith("1")


def test_names_of_any_script_and_sign_are_taken_as_they_are() -> None:
    made = tokenizer("llama")
    for name in ("a-b.c/d:e#f&g~h@i!$%^*()+=|,;?'`", "查询.天气", "ünï_1", "get"):
        tools = [tool(name), tool("get_more")]
        constraint = kind_of(made).constraint(tools)
        assert constraint is not None
        place = guide(constraint, made, made.vocab_size)
        text = json.dumps({"name": name, "parameters": {}}, ensure_ascii=False)
        assert follows(place, made, text) == "whole" and follows(place, made, text[:-2] + '"x": 1}}') == '"x": 1}}'
        parser = kind_of(made).parser(tools)
        assert [delta.name for delta in parser.push(text) if isinstance(delta, CallBegin)] == [name]


def test_tools_that_are_too_much_together_are_refused() -> None:
    long = [tool(f"t{number}", a={"enum": ["x" * 100 + str(each) for each in range(100)]}) for number in range(128)]
    with pytest.raises(ConfigError, match=r"a grammar of 1,\d{3},\d{3} characters"):
        kind_of(tokenizer("hermes")).constraint(long)


def test_as_many_tools_as_openai_allows_make_one_grammar() -> None:
    made = tokenizer("hermes")
    many = [tool(f"tool_{number}", **{f"key_{number}": {"type": "integer"}}) for number in range(128)]
    constraint = kind_of(made).constraint(many)
    assert constraint is not None
    text = '<tool_call>\n{"name": "tool_99", "arguments": {"key_%d": 1}}\n</tool_call>'
    place = guide(constraint, made, made.vocab_size)
    assert follows(place, made, text % 99) == "whole" and follows(place, made, text % 98).startswith("8")
