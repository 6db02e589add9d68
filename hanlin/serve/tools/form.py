"""How a model's chat template spells tool calls: learned by letting the template write a probe.

A template's source may mention much that it never writes; what it makes of a conversation with a call in it is the
form its model was taught. https://huggingface.co/docs/transformers/chat_extras
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hanlin.core.errors import HanlinError
from hanlin.text.template import ChatTemplate

ONE, TWO = "probe_one", "probe_two"
WORDS = "words of the probe"
RESULT = "result of the probe"
ARGUMENTS = r'\{\s*"key":\s*"value"\s*\}'
IDS = ("probe0001", "probe0002")
"""Mistral's templates refuse ids of another length."""
MARKS = re.compile(r"<[/|]?[\w|]+>|\[/?[A-Z_]+\]")
"""What may be a special token within a form."""
TOOLS = tuple(
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{WORDS} {name}",
            "parameters": {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]},
        },
    }
    for name in (ONE, TWO)
)
"""As the probe gives them."""


@dataclass(frozen=True)
class Form:
    """The text around names and arguments: `first`, calls with `between` between them, `last`.

    A call is `before`, name, `middle`, arguments, `after`.
    """

    opening: str
    """Where `first + before` begins with it, a call has certainly begun."""
    before: str
    middle: str
    after: str
    first: str = ""
    last: str = ""
    between: str | None = None
    """None where a turn has at most one call."""


@dataclass(frozen=True)
class Probe:
    """What a template writes of a conversation with calls."""

    one: str = ""
    """With one call; "" if it refuses."""
    two: str = ""
    """With two calls."""
    has_tools: bool = False
    """Descriptions of tools are in it."""
    has_results: bool = False
    """Results of calls are in it."""
    has_system: bool = False
    """A system message is in it."""


def probe(template: ChatTemplate) -> Probe:
    """Let a template write the probe in its several parts; what it refuses it cannot do."""
    one, two = (_rendered(template, _turns(count), TOOLS[:count]) for count in (1, 2))
    asked = _rendered(template, _turns(0), TOOLS[:1])
    system = _rendered(template, [{"role": "system", "content": WORDS}, *_turns(0)], None)
    return Probe(one, two, ONE in asked and WORDS in asked, RESULT in one, WORDS in system)


def _turns(calls: int) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = [{"role": "user", "content": "?"}]
    if not calls:
        return turns
    made = [
        {"id": one, "type": "function", "function": {"name": name, "arguments": {"key": "value"}}}
        for one, name in zip(IDS[:calls], (ONE, TWO), strict=False)
    ]
    results = [
        {"role": "tool", "name": call["function"]["name"], "tool_call_id": call["id"], "content": RESULT}
        for call in made
    ]
    return [*turns, {"role": "assistant", "content": "", "tool_calls": made}, *results]


def _rendered(template: ChatTemplate, turns: list[dict[str, Any]], tools: Sequence[dict[str, Any]] | None) -> str:
    try:
        return template.render(turns, tools=tools)
    except HanlinError:
        return ""


def calls(probed: Probe, before: str, middle: str, after: str) -> tuple[re.Match[str], str | None] | None:
    """Where a template wrote the probe's call, given patterns for what stands around; and what stands between two."""
    found = re.search(f"(?P<before>{before}){ONE}(?P<middle>{middle}){ARGUMENTS}(?P<after>{after})", probed.one)
    if found is None:
        return None
    pair = re.search(
        f"{re.escape(found['before'])}{ONE}.*?{ARGUMENTS}(?:{after})(?P<between>.*?){re.escape(found['before'])}{TWO}",
        probed.two,
        re.S,
    )
    return found, pair and pair["between"]
