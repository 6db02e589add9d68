"""The body of /v1/messages: https://docs.anthropic.com/en/api/messages"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from hanlin.serve.errors import FieldError
from hanlin.serve.shapes.body import Body, Shape
from hanlin.serve.shapes.chat import ChatBody


class Text(Shape):
    """A block of text."""

    type: Literal["text"]
    text: str
    cache_control: dict[str, Any] | None = None
    """A hint; what was read before is always found by its content here."""
    citations: None = None
    """Only null."""


class ToolUse(Shape):
    """A call the assistant made earlier."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class ToolResult(Shape):
    """What a call gave."""

    type: Literal["tool_result"]
    tool_use_id: str
    content: str | list[Text] | None = None
    is_error: bool | None = None
    """Told to the model by the word "Error: " before the content."""


Block = Annotated[Text | ToolUse | ToolResult, Field(discriminator="type")]


class MessageTurn(Shape):
    """A turn of the conversation."""

    role: Literal["user", "assistant"]
    content: str | list[Block]


class ClaudeTool(Shape):
    """A tool the model may use."""

    type: Literal["custom"] | None = None
    name: str
    description: str | None = None
    input_schema: dict[str, Any]


class ClaudeChoice(Shape):
    """Whether a tool must be used."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class MetaData(Shape):
    """About the request."""

    user_id: str | None = None


class CountBody(Body):
    """A conversation whose tokens are to be counted."""

    refused: ClassVar[dict[str, str]] = {
        "thinking": "no model here has such a dial",
        "mcp_servers": "this server calls no tools itself",
        "container": "this server runs no code",
        "context_management": "nothing of a conversation is left out",
        "service_tier": "there is one",
    }
    model: str
    messages: Annotated[list[MessageTurn], Field(min_length=1)]
    system: str | list[Text] | None = None
    """What stands before the conversation."""
    tools: list[ClaudeTool] | None = None
    tool_choice: ClaudeChoice | None = None

    def turns(self) -> list[dict[str, Any]]:
        """The conversation as OpenAI's API has it."""
        turns: list[dict[str, Any]] = []
        if self.system:
            turns.append({"role": "system", "content": _joined(self.system)})
        for turn in self.messages:
            turns += _turns(turn)
        return turns

    def chat(self, **more: Any) -> ChatBody:
        """The same as a chat request.

        Raises:
            FieldError: a tool must be used, and is not named or not there.
        """
        given: dict[str, Any] = {"model": self.model, "messages": self.turns(), **more}
        if self.tools:
            given["tools"] = [_tool(tool) for tool in self.tools]
        choice = self.tool_choice
        if choice is not None:
            if (choice.type == "tool") != (choice.name is not None):
                raise FieldError("tool_choice", "tool_choice has a name if its type is tool", "send both or neither")
            named = {"type": "function", "function": {"name": choice.name}}
            given["tool_choice"] = named if choice.name else {"any": "required"}.get(choice.type, choice.type)
            given["parallel_tool_calls"] = not choice.disable_parallel_tool_use
        return ChatBody.model_validate(given)


class MessagesBody(CountBody):
    """A conversation to go on with."""

    max_tokens: Annotated[int, Field(ge=1)]
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: int | None = None
    top_p: float | None = None
    metadata: MetaData | None = None

    def request(self) -> ChatBody:
        """The same as a chat request."""
        given = {"max_tokens": self.max_tokens, "stop": self.stop_sequences, "stream": self.stream}
        given |= {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p}
        return self.chat(**given)


def _joined(content: str | list[Text] | None) -> str:
    return content if isinstance(content, str) else "".join(block.text for block in content or ())


def _turns(turn: MessageTurn) -> list[dict[str, Any]]:
    """Calls belong to the assistant's turn; each result is a turn of its own, before what the user says."""
    if isinstance(turn.content, str):
        return [{"role": turn.role, "content": turn.content}]
    text = "".join(block.text for block in turn.content if isinstance(block, Text))
    calls = [_call(block) for block in turn.content if isinstance(block, ToolUse)]
    turns = [_result(block) for block in turn.content if isinstance(block, ToolResult)]
    if text or calls or not turns:
        turns.append({"role": turn.role, "content": text} | ({"tool_calls": calls} if calls else {}))
    return turns


def _call(block: ToolUse) -> dict[str, Any]:
    import orjson

    function = {"name": block.name, "arguments": orjson.dumps(block.input).decode()}
    return {"id": block.id, "type": "function", "function": function}


def _result(block: ToolResult) -> dict[str, Any]:
    content = ("Error: " if block.is_error else "") + _joined(block.content)
    return {"role": "tool", "tool_call_id": block.tool_use_id, "content": content}


def _tool(tool: ClaudeTool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}
    return {"type": "function", "function": function}
