"""Real models call tools: asked, held to it, and told what came of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hanlin
from hanlin.infer.model import Model
from hanlin.infer.sampling import Sampling
from hanlin.serve.tools.delta import CallArguments, CallBegin, TextDelta, joined
from hanlin.serve.tools.kind import kind_of
from serve.tools.forms import WEATHER, tool

TOOLS = [WEATHER, tool("get_time", timezone={"type": "string"})]


def asked(model: Model, messages: list[dict[str, Any]], choice: str | None) -> tuple[str, list[tuple[str, Any]]]:
    """What a model says to a conversation, and the calls it makes; unconstrained without a choice."""
    kind = kind_of(model.tokenizer)
    constraint = kind.constraint(TOOLS, choice) if choice else None
    parser = kind.parser(TOOLS, is_strict=constraint is not None)
    ids = model.tokenizer.chat(kind.messages(messages, TOOLS), tools=TOOLS if kind.renders_tools else None)
    sampling = Sampling(max_tokens=60, shown_tokens=kind.opening_tokens)
    deltas = [delta for event in model.answer(ids, sampling, constraint) for delta in parser.push(event.text)]
    whole = joined(deltas + parser.finish())
    begun = [delta.name for delta in whole if isinstance(delta, CallBegin)]
    told = [json.loads(delta.text) for delta in whole if isinstance(delta, CallArguments)]
    return "".join(delta.text for delta in whole if isinstance(delta, TextDelta)), list(zip(begun, told, strict=True))


def test_the_default_model_calls_the_tool_it_must_call_and_hears_the_result(smollm2: Path) -> None:
    model = hanlin.load(smollm2, dtype="stored")
    assert kind_of(model.tokenizer).name == "plain"
    question = {"role": "user", "content": "What is the weather in Paris?"}
    assert asked(model, [question], "get_weather") == ("", [("get_weather", {"city": "Paris"})])
    call = {"id": "call_1", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
    turns = [question, {"role": "assistant", "content": None, "tool_calls": [call]}]
    text, calls = asked(
        model, [*turns, {"role": "tool", "tool_call_id": "call_1", "content": "sunny, 22 degrees"}], "auto"
    )
    assert not calls and "22" in text


def test_qwen_calls_a_tool_in_chinese(resource: Callable[[str], Path]) -> None:
    model = hanlin.load(next(resource("qwen2.5-coder-0.5b").rglob("*.gguf")), dtype="stored")
    kind = kind_of(model.tokenizer)
    assert (kind.name, kind.renders_tools, kind.notices) == ("hermes", True, ())
    question = [{"role": "user", "content": "北京现在天气怎么样？"}]
    assert asked(model, question, None) == ("", [("get_weather", {"city": "北京"})])
