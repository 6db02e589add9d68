"""One turn of a conversation, as every chat template and every API means it."""

from typing import Any, Literal

from hanlin.core.settings import Settings

Role = Literal["system", "user", "assistant", "tool", "developer"]


class Message(Settings):
    """Who says what. `tool_calls`, `tool_call_id` and `name` are as in OpenAI's chat API."""

    role: Role
    """Who speaks."""
    content: str = ""
    """What is said."""
    name: str | None = None
    """Which person or tool, where the template tells them apart."""
    tool_calls: tuple[dict[str, Any], ...] = ()
    """Calls the assistant makes: `{"type": "function", "function": {"name": …, "arguments": {…}}}`."""
    tool_call_id: str | None = None
    """Which call a tool's answer answers."""

    def plain(self) -> dict[str, Any]:
        """The mapping a template sees: role and content, and of the rest only what was given."""
        extra = self.model_dump(exclude={"role", "content"}, exclude_defaults=True)
        if "tool_calls" in extra:
            extra["tool_calls"] = list(extra["tool_calls"])
        return {"role": self.role, "content": self.content, **extra}
