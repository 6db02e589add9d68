"""Tools as OpenAI's API describes them: a list of mappings in, checked and frozen tools out; which may be called.

https://platform.openai.com/docs/api-reference/chat/create#chat-create-tools
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from pydantic import ConfigDict, Field

from hanlin.core.errors import ConfigError, did_you_mean, shown
from hanlin.core.settings import Settings, parse
from hanlin.infer.constraint import ESCAPES, LONGEST, SPACE
from hanlin.infer.schema import checked

NAME = re.compile(r'[^\s"\\\[\]{}<>\x00-\x1f\x7f\ud800-\udfff]{1,64}')
"""Of any script; without what the forms of calls are made of."""
MOST = 128
"""Tools of one request, as in OpenAI's API."""
Mode = Literal["auto", "none", "required"]
Choice = str | Mapping[str, Any]


class Function(Settings):
    """What a tool is."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str
    """By which the model calls it."""
    description: str | None = None
    """What it does and when to call it."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """JSON schema of its arguments; without one it takes none."""
    strict: bool | None = None
    """False: its arguments may be any JSON object; otherwise they satisfy the schema, where a constraint holds."""


class ToolEntry(Settings):
    """One entry of `tools`."""

    type: Literal["function"]
    function: Function


@dataclass(frozen=True)
class Tool:
    """A tool that may be called."""

    name: str
    parameters: Mapping[str, Any]
    is_strict: bool

    def schema(self) -> str:
        """What its arguments are held to, as JSON text that the grammar embeds.

        Raises:
            ConfigError: the schema has a keyword that is not enforced (which is named), or nothing satisfies it.
        """
        wanted: Mapping[str, Any] = _closed(self.parameters) if self.is_strict else {"type": "object"}
        try:
            text = checked(dict(wanted), LONGEST)
        except ConfigError as error:
            what = f"tool {self.name!r}: {error.what.replace('json_schema', 'parameters')}"
            raise ConfigError(what, f'{error.fix}; or set "strict": false to let it take any JSON object') from None
        guidance = {"whitespace_pattern": SPACE, "json_allowed_escapes": ESCAPES}
        return json.dumps({"x-guidance": guidance, **json.loads(text)})


def _closed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """An object of exactly the properties that are named, where the schema leaves that open: no invented arguments."""
    schema: dict[str, Any] = {"type": "object", **parameters}
    named = schema.get("properties", {})
    is_plain = not schema.keys() & {"additionalProperties", "patternProperties", "allOf", "anyOf", "oneOf", "$ref"}
    required = schema.get("required", [])
    if is_plain and isinstance(named, Mapping) and isinstance(required, list) and set(map(str, required)) <= set(named):
        schema["additionalProperties"] = False
    return schema


def read(tools: Sequence[Mapping[str, Any]]) -> tuple[Tool, ...]:
    """The tools of a request.

    Raises:
        ConfigError: an entry has a key that is unknown or missing, or a name that is unusable or comes twice.
    """
    if len(tools) > MOST:
        raise ConfigError(f"{len(tools):,} tools", f"give at most {MOST}")
    found: dict[str, Tool] = {}
    for place, given in enumerate(tools):
        where = f"tools[{place}]"
        if not isinstance(given, Mapping):
            raise ConfigError(f"{where} = {shown(given)} is no tool", 'write {"type": "function", "function": {…}}')
        function = parse(ToolEntry, given, where).function
        if not NAME.fullmatch(function.name):
            what = f"{where}.function.name = {shown(function.name)}"
            raise ConfigError(what, "give 1 to 64 letters, digits, _ or -: no space, quote, backslash or bracket")
        if function.name in found:
            raise ConfigError(f"{where}.function.name = {shown(function.name)} comes twice", "name tools differently")
        kind = function.parameters.get("type", "object")
        if kind != "object":
            what = f"{where}.function.parameters.type = {shown(kind)}"
            raise ConfigError(what, 'arguments are a JSON object: "type": "object"')
        found[function.name] = Tool(function.name, function.parameters, function.strict is not False)
    return tuple(found.values())


@dataclass(frozen=True)
class Wanted:
    """Which tools an answer calls."""

    mode: Mode
    tools: tuple[Tool, ...]
    """Those that may be called."""
    is_one: bool = False
    """Exactly one call."""


def wanted(choice: Choice, tools: Sequence[Tool]) -> Wanted:
    """What a `tool_choice` means: "auto", "none", "required", a name, or OpenAI's objects for a name or a selection.

    Raises:
        ConfigError: it is none of these, or names a tool that is not there.
    """
    if isinstance(choice, str):
        if choice in get_args(Mode):
            return Wanted(cast("Mode", choice), tuple(tools))
        return Wanted("required", _named([choice], tools), is_one=True)
    kind, inner = choice.get("type"), choice.get(str(choice.get("type")))
    if choice.keys() == {"type", kind} and isinstance(inner, Mapping):
        if kind == "function" and inner.keys() == {"name"}:
            return Wanted("required", _named([inner["name"]], tools), is_one=True)
        if kind == "allowed_tools" and inner.keys() == {"mode", "tools"} and inner["mode"] in ("auto", "required"):
            names = [entry.get("function", {}).get("name") for entry in inner["tools"]]
            return Wanted(inner["mode"], _named(names, tools))
    fix = 'give "auto", "none", "required" or {"type": "function", "function": {"name": …}}'
    raise ConfigError(f"tool_choice = {shown(choice)}", fix)


def _named(names: Sequence[Any], tools: Sequence[Tool]) -> tuple[Tool, ...]:
    by_name = {tool.name: tool for tool in tools}
    for name in names:
        if name not in by_name:
            known = did_you_mean(str(name), by_name)
            raise ConfigError(f"tool_choice names {shown(name)}, which is none of the tools", known)
    if not names:
        raise ConfigError("tool_choice allows no tool", 'name at least one, or choose "none"')
    return tuple(by_name[name] for name in dict.fromkeys(names))
