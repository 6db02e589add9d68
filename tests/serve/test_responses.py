"""/v1/responses: kept, gone on from, cut, computed later, cancelled; nobody else's key finds them."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from serve.live import Live, live, tiny_model
from serve.test_chat import SCHEMA

GIVEN: Any = {"model": "tiny", "temperature": 0, "max_output_tokens": 12}
TOOL: Any = {"type": "function", "name": "weather", "parameters": SCHEMA}


@pytest.mark.parametrize(
    "more",
    [
        {"input": "hello"},
        {"input": "hello", "instructions": "the abc"},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}], "top_logprobs": 2},
        {"input": "hello", "tools": [TOOL], "tool_choice": "required", "max_output_tokens": 300},
        {
            "input": "a",
            "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}},
            "max_output_tokens": 90,
        },
    ],
)
def test_a_stream_ends_with_the_answer_that_comes_without_one(client: OpenAI, more: dict[str, Any]) -> None:
    whole = client.responses.create(**{**GIVEN, **more, "parallel_tool_calls": False})
    events = list(client.responses.create(**{**GIVEN, **more, "parallel_tool_calls": False}, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last: Any = events[-1]
    assert last.type == f"response.{whole.status}"
    plain = [item.model_dump(exclude={"id", "call_id"}) for item in last.response.output]
    assert plain == [item.model_dump(exclude={"id", "call_id"}) for item in whole.output]
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == whole.output_text
    assert (whole.incomplete_details is not None) == (whole.status == "incomplete")


def test_a_conversation_goes_on_from_a_stored_response(client: OpenAI) -> None:
    first = client.responses.create(input="hello", instructions="only now", **GIVEN)
    second = client.responses.create(input="the", previous_response_id=first.id, **GIVEN)
    model = tiny_model("tiny")
    turns = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": first.output_text},
        {"role": "user", "content": "the"},
    ]
    assert second.usage is not None
    assert second.usage.input_tokens == len(model.tokenizer.chat(turns))
    assert "".join(event.text for event in model.chat(turns, max_tokens=12)) == second.output_text
    assert len(client.responses.input_items.list(second.id).data) == 3
    client.responses.delete(first.id)
    with pytest.raises(NotFoundError):
        client.responses.create(input="the", previous_response_id=first.id, **GIVEN)
    client.responses.create(input="the", previous_response_id=second.id, **GIVEN)


def test_a_response_that_is_not_to_be_stored_is_not(client: OpenAI) -> None:
    made = client.responses.create(input="hello", store=False, **GIVEN)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(made.id)


def test_in_the_background_it_is_polled_and_cancelled(client: OpenAI) -> None:
    made = client.responses.create(input="hello", background=True, **GIVEN)
    assert made.status == "queued"
    ends = time.monotonic() + 20
    while (found := client.responses.retrieve(made.id)).status in ("queued", "in_progress"):
        assert time.monotonic() < ends
        time.sleep(0.02)
    assert found.output_text == client.responses.create(input="hello", **GIVEN).output_text
    long = client.responses.create(**{**GIVEN, "max_output_tokens": 990}, input="abc", background=True, extra_body={})
    assert client.responses.cancel(long.id).status in ("cancelled", "completed", "incomplete")
    with pytest.raises(BadRequestError, match="not computed in the background"):
        client.responses.cancel(client.responses.create(input="hello", **GIVEN).id)
    with pytest.raises(BadRequestError, match="store"):
        client.responses.create(input="hello", background=True, store=False, **GIVEN)


def test_another_key_does_not_find_it(tmp_path: Path) -> None:
    with live(tmp_path) as server:
        ours, theirs = (
            OpenAI(base_url=server.api, api_key=server.keys.add(name), max_retries=0) for name in ("ours", "theirs")
        )
        with ours, theirs:
            made = ours.responses.create(input="hello", **GIVEN)
            assert ours.responses.retrieve(made.id).id == made.id
            with pytest.raises(NotFoundError):
                theirs.responses.retrieve(made.id)
            with pytest.raises(NotFoundError):
                theirs.responses.create(input="x", previous_response_id=made.id, **GIVEN)


def test_anthropics_shape_says_the_same(client: OpenAI, tiny_server: Live) -> None:
    body: dict[str, Any] = {
        "model": "tiny",
        "max_tokens": 12,
        "temperature": 0,
        "system": [{"type": "text", "text": "ab"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    }
    turns: Any = [{"role": "system", "content": "ab"}, {"role": "user", "content": "hello"}]
    ours = client.chat.completions.create(model="tiny", messages=turns, max_tokens=12, temperature=0)
    with httpx.Client(base_url=tiny_server.api, timeout=30) as http:
        told = http.post("/messages", json=body).json()
        assert told["content"] == [{"type": "text", "text": ours.choices[0].message.content}]
        assert told["stop_reason"] == "max_tokens"
        with http.stream("POST", "/messages", json={**body, "stream": True}) as reply:
            lines = [line.partition(": ") for line in reply.iter_lines()]
        events = [__import__("json").loads(value) for name, _, value in lines if name == "data"]
        kinds = [event["type"] for event in events]
        assert kinds[:2] == ["message_start", "content_block_start"]
        assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        text = "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
        assert text == told["content"][0]["text"]
        counted = http.post("/messages/count_tokens", json={k: body[k] for k in ("model", "system", "messages")}).json()
        usage = told["usage"]
        assert counted["input_tokens"] == usage["input_tokens"] + usage["cache_read_input_tokens"]
        stopped = http.post("/messages", json={**body, "stop_sequences": [told["content"][0]["text"][3:5]]}).json()
        assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", told["content"][0]["text"][3:5])
        tool = {"name": "weather", "input_schema": SCHEMA}
        called = http.post(
            "/messages", json={**body, "max_tokens": 300, "tools": [tool], "tool_choice": {"type": "any"}}
        ).json()
        assert called["content"][0]["type"] == "tool_use"
        assert set(called["content"][0]["input"]) == {"city", "days"}
        wrong = http.post("/messages", json={**body, "thinking": {"type": "enabled", "budget_tokens": 5}})
        assert wrong.status_code == 400
        assert wrong.json()["type"] == "error"
        assert "thinking" in wrong.json()["error"]["message"]
