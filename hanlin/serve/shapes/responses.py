"""The body of /v1/responses: https://platform.openai.com/docs/api-reference/responses/create"""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from hanlin.serve.errors import FieldError
from hanlin.serve.shapes.body import Body, Shape
from hanlin.serve.shapes.chat import ChatBody
from hanlin.serve.shapes.choosing import StreamOptions


class InputText(Shape):
    """A piece of a message."""

    type: Literal["input_text", "output_text", "text"]
    text: str
    annotations: list[Any] = Field(default_factory=list)
    """As answers have it; nothing is made of it."""
    logprobs: list[Any] = Field(default_factory=list)
    """The same."""


class InputMessage(Shape):
    """A message."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[InputText]
    id: str | None = None
    status: str | None = None


class FunctionCall(Shape):
    """A call that was made."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: str | None = None


class FunctionOutput(Shape):
    """What it gave."""

    type: Literal["function_call_output"]
    call_id: str
    output: str | list[InputText]
    id: str | None = None
    status: str | None = None


class FunctionTool(Shape):
    """A function the model may call."""

    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    """Always so here."""


class NamedFunction(Shape):
    """The function that must be called."""

    type: Literal["function"]
    name: str


class TextFormat(Shape):
    """What an answer must be."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str = "answer"
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None

    def plain(self) -> dict[str, Any]:
        """As chat requests have it."""
        if self.type != "json_schema":
            return {"type": self.type}
        if self.schema_ is None:
            raise FieldError("text.format.schema", "text.format.schema is missing", "send it")
        return {"type": "json_schema", "json_schema": {"name": self.name, "schema": self.schema_}}


class TextSettings(Shape):
    """How text comes."""

    format: TextFormat = TextFormat()


Item = InputMessage | FunctionCall | FunctionOutput


class ResponseBody(Body):
    """Something to answer, perhaps after an earlier response."""

    refused: ClassVar[dict[str, str]] = {
        "reasoning": "no model here has such a dial",
        "conversation": "name the response to go on from: previous_response_id",
        "include": "nothing more is to be included; log-probabilities come with top_logprobs",
        "prompt": "no prompts are kept here",
        "max_tool_calls": "this server calls no tools itself",
        "prompt_cache_key": "what was read is found by its content",
        "prompt_cache_retention": "what was read is found by its content",
        "context_management": "nothing of a conversation is left out",
    }
    model: str | None = None
    input: str | Annotated[list[Item], Field(min_length=1)]
    """A text, or messages, calls and what they gave."""
    instructions: str | None = None
    """A system message; not carried over to later responses."""
    previous_response_id: str | None = None
    """A stored response whose conversation goes on."""
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    text: TextSettings = TextSettings()
    tools: list[FunctionTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedFunction | None = None
    parallel_tool_calls: bool = True
    store: bool = True
    """Keep it, so that others can go on from it."""
    background: bool = False
    """Answer at once, compute later; needs store."""
    stream: bool = False
    stream_options: StreamOptions | None = None
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None = None
    truncation: Literal["disabled", "auto"] = "disabled"
    """auto forgets the oldest tokens of what does not fit."""
    service_tier: Literal["auto", "default"] | None = None
    user: str | None = None
    safety_identifier: str | None = None

    @field_validator("stream_options")
    @classmethod
    def _nothing_more(cls, options: StreamOptions | None) -> StreamOptions | None:
        if options is not None and options.include_usage:
            raise ValueError("usage is always told in the last event")
        return options

    def items(self) -> list[dict[str, Any]]:
        """What is asked, as items."""
        if isinstance(self.input, str):
            return [{"type": "message", "role": "user", "content": self.input}]
        return [item.model_dump(exclude_none=True) for item in self.input]

    def request(self, earlier: Sequence[dict[str, Any]]) -> ChatBody:
        """The same as a chat request; `earlier` are the items before these."""
        head = [{"role": "system", "content": self.instructions}] if self.instructions else []
        given: dict[str, Any] = {"model": self.model, "messages": [*head, *_turns([*earlier, *self.items()])]}
        given |= {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_output_tokens}
        given |= {"response_format": self.text.format.plain(), "parallel_tool_calls": self.parallel_tool_calls}
        if self.top_logprobs is not None:
            given |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        if self.truncation == "auto":
            given["overflow"] = "slide"
        if self.tools:
            given["tools"] = [_tool(tool) for tool in self.tools]
        choice = self.tool_choice
        is_named = isinstance(choice, NamedFunction)
        given["tool_choice"] = {"type": "function", "function": {"name": choice.name}} if is_named else choice
        return ChatBody.model_validate(given)


def _tool(tool: FunctionTool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _turns(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items as turns; calls that follow each other, or a text of the assistant's, are one turn."""
    turns: list[dict[str, Any]] = []
    for item in items:
        kind = item.get("type", "message")
        if kind == "message":
            turns.append({"role": item["role"], "content": _text(item["content"])})
        elif kind == "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            call = {"id": item["call_id"], "type": "function", "function": function}
            if not turns or turns[-1]["role"] != "assistant":
                turns.append({"role": "assistant", "content": ""})
            turns[-1].setdefault("tool_calls", []).append(call)
        else:
            turns.append({"role": "tool", "tool_call_id": item["call_id"], "content": _text(item["output"])})
    return turns


def _text(content: str | Sequence[dict[str, Any]]) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
