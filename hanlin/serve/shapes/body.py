"""A request's body in, a typed shape out. A field we do not honour is a 400 that names it; `"compat": true` turns that
into a warning in the answer.
"""

from typing import Any, ClassVar, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from hanlin.core.errors import did_you_mean, shown
from hanlin.core.settings import dotted
from hanlin.serve.errors import FieldError
from hanlin.serve.shapes.parts import only_text

T = TypeVar("T", bound="Body")


class Shape(BaseModel):
    """A part of a body: frozen, and closed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


class Body(Shape):
    """What is sent to an endpoint."""

    refused: ClassVar[dict[str, str]] = {}
    """Fields of the API that this server does not honour, and why."""
    compat: bool = False
    """Take fields that are not honoured, and say so in `warnings`, instead of refusing them."""


def read(kind: type[T], raw: bytes) -> tuple[T, list[str]]:
    """A body, and what is not honoured in it (only with `compat`).

    Raises:
        FieldError: it is no JSON object, a field is unknown, not honoured, or has a wrong value.
    """
    try:
        given = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise FieldError("", f"the body is not JSON: {error}", "send one JSON object") from None
    if not isinstance(given, dict):
        raise FieldError("", f"the body is {shown(given)}", "send one JSON object")
    warnings = [*_refused(kind, given), *only_text(given)]
    while True:
        try:
            return kind.model_validate(given), warnings
        except ValidationError as error:
            errors = error.errors(include_url=False)
            extra = [one for one in errors if one["type"] == "extra_forbidden"]
            if not extra or given.get("compat") is not True:
                raise _wrong(kind, (extra or errors)[0]) from None
            for one in extra:
                path = _drop(given, one["loc"])
                warnings.append(f"{path} is not a field here and was left out")


def takes(kind: type[Body]) -> dict[str, Any]:
    """What the OpenAPI document says of a route that reads such a body; `hanlin.serve.app` adds the shape itself."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}
    return {"requestBody": {"content": content, "required": True}}


def _refused(kind: type[Body], given: dict[str, Any]) -> list[str]:
    warnings = []
    for name in [name for name in given if name in kind.refused]:
        value = given.pop(name)
        if value in (None, False, [], {}):
            continue
        if given.get("compat") is not True:
            raise FieldError(
                name, f"{name} is not honoured here: {kind.refused[name]}", f'leave {name} out, or send "compat": true'
            )
        warnings.append(f"{name} was left out: {kind.refused[name]}")
    return warnings


def _wrong(kind: type[Body], one: Any) -> FieldError:
    path = dotted([part for part in one["loc"] if not _is_tag(part)])
    if one["type"] == "extra_forbidden":
        known = kind.model_fields if len(one["loc"]) == 1 else ()
        fix = did_you_mean(str(one["loc"][-1]), known) if known else f"leave {path} out"
        return FieldError(path, f"{path} is not a field here", f'{fix} ("compat": true only warns)')
    if one["type"] == "missing":
        return FieldError(path, f"{path} is missing", "send it")
    reason = one["msg"].removeprefix("Value error, ")
    return FieldError(path, f"{path} = {shown(one['input'])}: {reason[:1].lower()}{reason[1:]}", f"send another {path}")


def _is_tag(part: object) -> bool:
    """Pydantic names the members of a union in its paths; those are no fields."""
    return isinstance(part, str) and (part[:1].isupper() or "[" in part or part in ("str", "int", "float", "bool"))


def _drop(given: Any, loc: tuple[str | int, ...]) -> str:
    """Delete what a path leads to; its name."""
    at, walked = given, []
    for part in loc[:-1]:
        is_there = part in at if isinstance(at, dict) else isinstance(part, int) and part < len(at)
        if is_there:
            at = at[part]
            walked.append(part)
    assert isinstance(at, dict), "only objects have fields that are not known"
    del at[loc[-1]]
    return dotted([*walked, loc[-1]])
