"""The body of /v1/chat/completions: https://platform.openai.com/docs/api-reference/chat/create"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from hanlin.core.errors import shown
from hanlin.serve.errors import FieldError
from hanlin.serve.shapes.body import Shape
from hanlin.serve.shapes.choosing import Choosing


class TextPart(Shape):
    """A piece of a message."""

    type: Literal["text"]
    text: str


class Function(Shape):
    """A function the model may call."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
    description: str | None = None
    """When and how to call it."""
    parameters: dict[str, Any] | None = None
    """JSON schema of its arguments; arguments are always held to it."""
    strict: bool | None = None
    """Always so here."""


class Tool(Shape):
    """A tool the model may use: a function."""

    type: Literal["function"]
    function: Function


class FunctionName(Shape):
    """A function by name."""

    name: str


class NamedTool(Shape):
    """The tool that must be called."""

    type: Literal["function"]
    function: FunctionName


class CalledFunction(Shape):
    """A call as it was made."""

    name: str
    arguments: str
    """JSON, as text."""


class Call(Shape):
    """A call the assistant made earlier."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class Turn(Shape):
    """A message."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    name: str | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    refusal: None = None
    """Only null: what an answer of this API has there."""
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    """Only empty."""
    audio: None = None
    """Only null."""
    function_call: None = None
    """Only null."""

    def plain(self) -> dict[str, Any]:
        """As a chat template sees it."""
        content = self.content
        text = "".join(part.text for part in content) if isinstance(content, list) else content or ""
        turn: dict[str, Any] = {"role": self.role, "content": text}
        if self.name is not None:
            turn["name"] = self.name
        if self.tool_calls:
            turn["tool_calls"] = [_plain(call) for call in self.tool_calls]
        if self.tool_call_id is not None:
            turn["tool_call_id"] = self.tool_call_id
        return turn


def _plain(call: Call) -> dict[str, Any]:
    import orjson

    try:
        arguments = orjson.loads(call.function.arguments or "{}")
    except orjson.JSONDecodeError as error:
        what = f"the arguments of call {shown(call.id)} are not JSON: {error}"
        raise FieldError("messages", what, "send them as they came") from None
    return {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": arguments}}


class ChatBody(Choosing):
    """A conversation to go on with."""

    refused: ClassVar[dict[str, str]] = {
        "functions": "it was replaced by tools",
        "function_call": "it was replaced by tool_choice",
        "audio": "no model here speaks",
        "prediction": "guesses are made from the conversation itself, without being asked",
        "web_search_options": "nothing here searches the web",
        "reasoning_effort": "no model here has such a dial",
        "verbosity": "no model here has such a dial",
        "prompt_cache_key": "what was read is found by its content",
        "prompt_cache_retention": "what was read is found by its content",
        "moderation": "no moderation runs here",
    }
    messages: Annotated[list[Turn], Field(min_length=1)]
    """The conversation, oldest first."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Most tokens of an answer  [default: what the window leaves]."""
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    """The same, by its newer name."""
    logprobs: bool | None = None
    """Tell the log-probability of each token."""
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """Also of so many likeliest ones; needs logprobs."""
    tools: list[Tool] | None = None
    """What the model may call."""
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    """Whether it must."""
    parallel_tool_calls: bool | None = None
    """Whether it may make several calls at once."""
    store: bool | None = None
    """Keep the answer; it is then at /v1/chat/completions/ID."""
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None = None
    """Kept with a stored answer."""
    modalities: list[Literal["text"]] | None = None
    """Only text."""
    service_tier: Literal["auto", "default"] | None = None
    """There is one."""
    safety_identifier: str | None = None
    """Who asks, for the log; as user."""

    @field_validator("tools")
    @classmethod
    def _differ(cls, tools: list[Tool] | None) -> list[Tool] | None:
        names = [tool.function.name for tool in tools or ()]
        if len(set(names)) < len(names):
            raise ValueError("two tools have the same name")
        return tools

    @property
    def wanted(self) -> int | None:
        """Most tokens of an answer.

        Raises:
            FieldError: both names are used, and differ.
        """
        both = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(both) > 1:
            raise FieldError(
                "max_tokens",
                f"max_tokens {self.max_tokens} and max_completion_tokens {self.max_completion_tokens} differ",
                "send one of them",
            )
        return both.pop() if both else None

    def tops(self) -> int | None:
        """How many likeliest tokens to tell; None for no log-probabilities at all.

        Raises:
            FieldError: top_logprobs without logprobs.
        """
        if self.top_logprobs is not None and not self.logprobs:
            raise FieldError("top_logprobs", "top_logprobs without logprobs", 'send "logprobs": true, too')
        return (self.top_logprobs or 0) if self.logprobs else None
