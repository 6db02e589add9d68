"""Tools for models whose template knows none: their description in a system message, calls and results as plain turns.

The form is Hermes', which many small models have seen.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hanlin.serve.tools.kinds.hermes import FORM

HEAD = """# Tools

You can call these functions. Each line describes one, its parameters as a JSON schema:
"""
TAIL = """
To call a function, answer with its name and its arguments as JSON between these two marks, and nothing else:
<tool_call>
{"name": "NAME", "arguments": {"PARAMETER": "VALUE"}}
</tool_call>
What it gives comes back between <tool_response> and </tool_response>. If no function helps, answer in words."""


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
    was_result = False
    for turn in turns:
        is_result = turn["role"] == "tool"
        if is_result:
            result = f"<tool_response>\n{turn.get('content') or ''}\n</tool_response>"
            if was_result:
                plain[-1]["content"] += f"\n{result}"
            else:
                plain.append({"role": "user", "content": result})
        elif turn.get("tool_calls"):
            calls = [_call(call["function"]) for call in turn["tool_calls"]]
            said = [turn["content"]] if turn.get("content") else []
            plain.append({"role": turn["role"], "content": "\n".join([*said, *calls])})
        else:
            plain.append(dict(turn))
        was_result = is_result
    return plain


def _call(function: Mapping[str, Any]) -> str:
    arguments = json.dumps(function["arguments"], ensure_ascii=False)
    return FORM.before + function["name"] + FORM.middle + arguments + FORM.after
