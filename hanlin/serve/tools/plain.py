"""Tools for models whose template knows none: their description in a system message, calls and results as plain turns.

The form is Hermes', which many small models have seen.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hanlin.serve.tools.kinds.hermes import FORM

RESULT = "The function returned:\n"
ASK = "Now answer my question in words."
"""SmolLM2-135M repeats a result in Hermes' marks, and answers with it when it is asked like this (docs/LOG.md)."""

HEAD = """# Tools

You can call these functions. Each line describes one, its parameters as a JSON schema:
"""
TAIL = """
To call a function, answer with its name and its arguments as JSON between these two marks, and nothing else:
<tool_call>
{"name": "NAME", "arguments": {"PARAMETER": "VALUE"}}
</tool_call>
What it returns comes in the next message. If no function helps, answer in words."""


def described(tools: Sequence[Mapping[str, Any]]) -> str:
    """What the model is told about the tools."""
    lines = [json.dumps(tool["function"], ensure_ascii=False) + "\n" for tool in tools]
    return HEAD + "".join(lines) + TAIL


def with_description(turns: Sequence[Mapping[str, Any]], words: str, has_system: bool) -> list[dict[str, Any]]:
    """The conversation, `words` at the end of its system message; without one, one of its own or before the first turn.

    `has_system`: the template takes system messages.
    """
    first, rest = dict(turns[0]), [dict(turn) for turn in turns[1:]]
    if first["role"] in ("system", "developer"):
        return [{**first, "content": f"{first.get('content') or ''}\n\n{words}".lstrip()}, *rest]
    if has_system:
        return [{"role": "system", "content": words}, first, *rest]
    return [{**first, "content": f"{words}\n\n{first.get('content') or ''}"}, *rest]


def without_calls(turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The conversation with calls as what the assistant says, and results, those in a row together, as the user's."""
    plain: list[dict[str, Any]] = []
    results: list[str] = []
    for turn in [*turns, None]:
        if turn is not None and turn["role"] == "tool":
            results.append(RESULT + (turn.get("content") or ""))
            continue
        if results:
            plain.append({"role": "user", "content": "\n\n".join([*results, ASK])})
            results = []
        if turn is not None:
            plain.append(_without_calls(turn))
    return plain


def _without_calls(turn: Mapping[str, Any]) -> dict[str, Any]:
    if not turn.get("tool_calls"):
        return dict(turn)
    calls = [_call(call["function"]) for call in turn["tool_calls"]]
    said = [turn["content"]] if turn.get("content") else []
    return {"role": turn["role"], "content": "\n".join([*said, *calls])}


def _call(function: Mapping[str, Any]) -> str:
    arguments = json.dumps(function["arguments"], ensure_ascii=False)
    return FORM.before + function["name"] + FORM.middle + arguments + FORM.after
