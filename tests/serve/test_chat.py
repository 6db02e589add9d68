"""/v1/chat/completions through OpenAI's own client: each field does what it says, and a stream says the same."""

import json
from typing import Any

import jsonschema
import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from serve.live import CONTEXT, Live

ASKED: Any = [{"role": "user", "content": "hello the abc"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]


def streamed(client: OpenAI, **given: Any) -> dict[int, dict[str, Any]]:
    """The choices that a stream adds up to."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in client.chat.completions.create(stream=True, **given):
        for part in chunk.choices:
            one = choices.setdefault(part.index, {"text": "", "finish": None, "logprobs": [], "calls": {}})
            one["text"] += part.delta.content or ""
            one["finish"] = part.finish_reason or one["finish"]
            one["logprobs"] += (part.logprobs.content or []) if part.logprobs else []
            for call in part.delta.tool_calls or []:
                held = one["calls"].setdefault(call.index, ["", ""])
                held[0] += (call.function.name if call.function else None) or ""
                held[1] += (call.function.arguments if call.function else None) or ""
    return choices


@pytest.mark.parametrize(
    "given",
    [
        {"temperature": 0},
        {"seed": 3, "n": 3, "max_tokens": 20},
        {"seed": 5, "logprobs": True, "top_logprobs": 3, "max_tokens": 12},
        {"seed": 7, "stop": ["a", "。"], "max_tokens": 200},
        {"seed": 8, "frequency_penalty": 1.5, "presence_penalty": -0.5, "max_tokens": 30, "top_p": 0.9},
        {"seed": 9, "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
        {"seed": 4, "tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False, "max_tokens": 300},
        {"seed": 4, "extra_body": {"top_k": 5, "min_p": 0.01, "repetition_penalty": 1.2}, "max_tokens": 15},
    ],
)
def test_a_stream_adds_up_to_the_answer(client: OpenAI, given: dict[str, Any]) -> None:
    given = {"model": "tiny", "messages": ASKED, "max_tokens": 40, **given}
    whole = client.chat.completions.create(**given)
    parts = streamed(client, **given)
    assert len(whole.choices) == len(parts) == given.get("n", 1)
    for choice in whole.choices:
        part = parts[choice.index]
        assert part["text"] == (choice.message.content or "")
        assert part["finish"] == choice.finish_reason
        assert part["logprobs"] == ((choice.logprobs.content if choice.logprobs else None) or [])
        calls = [[call.function.name, call.function.arguments] for call in choice.message.tool_calls or []]  # pyright: ignore
        assert list(part["calls"].values()) == calls


def test_usage_comes_with_an_answer_and_at_the_end_of_a_stream(client: OpenAI) -> None:
    given: Any = {"model": "tiny", "messages": ASKED, "max_tokens": 9, "temperature": 0}
    whole = client.chat.completions.create(**given)
    *_, last = client.chat.completions.create(**given, stream=True, stream_options={"include_usage": True})
    assert whole.usage is not None
    assert last.usage is not None
    assert (last.choices, last.usage.total_tokens) == ([], whole.usage.total_tokens)
    assert whole.usage.completion_tokens == 9


def test_a_named_tool_is_called_with_arguments_of_its_schema(client: OpenAI) -> None:
    choice: Any = {"type": "function", "function": {"name": "weather"}}
    for seed in range(4):
        found = client.chat.completions.create(
            model="tiny", messages=ASKED, tools=TOOLS, tool_choice=choice, seed=seed, max_tokens=300
        )
        (call,) = found.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert call.function.name == "weather"
        jsonschema.validate(json.loads(call.function.arguments), SCHEMA)
        assert found.choices[0].finish_reason == "tool_calls"


def test_biased_banned_and_allowed_tokens(client: OpenAI, tiny_server: Live) -> None:
    given: Any = {"model": "tiny", "messages": ASKED, "temperature": 0, "max_tokens": 6}
    only = client.chat.completions.create(**given, extra_body={"allowed_tokens": [97]})
    assert only.choices[0].message.content == "a" * 6
    pushed = client.chat.completions.create(**given, logit_bias={"98": 100})
    assert pushed.choices[0].message.content == "b" * 6


def test_prompt_logprobs_have_the_shape_of_vllm(client: OpenAI) -> None:
    told: Any = client.chat.completions.create(
        model="tiny", messages=ASKED, max_tokens=1, extra_body={"prompt_logprobs": 2}
    )
    places = told.prompt_logprobs
    assert places[0] is None
    assert len(places) == told.usage.prompt_tokens
    for place in places[1:]:
        first, *others = place.values()
        assert first["rank"] == 1 + sum(other["logprob"] > first["logprob"] for other in others) or first["rank"] > 2


def test_what_is_not_honoured_is_named(client: OpenAI) -> None:
    given: Any = {"model": "tiny", "messages": ASKED, "max_tokens": 2}
    for extra, named in (
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"made_up": 1}, "made_up"),
        ({"messages": [{"role": "user", "content": "x", "mood": "good"}]}, "mood"),
        ({"n": 999}, "n = 999"),
        ({"temperature": 3}, "temperature"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logit_bias": {"99999": 1}}, "99999"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"not": {}}}}}, "not"),
        ({"messages": []}, "messages"),
    ):
        with pytest.raises(BadRequestError, match=named):
            client.chat.completions.create(**given, extra_body=extra)
    told: Any = client.chat.completions.create(
        **given, extra_body={"made_up": 1, "reasoning_effort": "low", "compat": True}
    )
    assert len(told.warnings) == 2


def test_too_long_a_prompt_is_refused_with_both_counts(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match=rf"1,5\d\d tokens of prompt and 1 of answer .* {CONTEXT:,}") as caught:
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "x" * 1500}])
    assert caught.value.code == "context_length_exceeded"


def test_an_unknown_model_is_a_404(client: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'tiny'") as caught:
        client.chat.completions.create(model="tinny", messages=ASKED)
    assert caught.value.code == "model_not_found"


def test_stored_answers_are_found_and_deleted(client: OpenAI) -> None:
    made = client.chat.completions.create(model="tiny", messages=ASKED, max_tokens=3, store=True, metadata={"a": "b"})
    assert client.chat.completions.retrieve(made.id).choices == made.choices
    assert client.chat.completions.messages.list(made.id).data[0].content == "hello the abc"
    assert client.chat.completions.delete(made.id).deleted
    with pytest.raises(NotFoundError):
        client.chat.completions.retrieve(made.id)
