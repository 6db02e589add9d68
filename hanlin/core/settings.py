"""Typed settings: a mapping or a TOML file in, a frozen object out, or a ConfigError that names the key and the fix.

A section is a `Settings` class beside the code it configures. Its fields carry a type, a default that works and a
docstring that becomes the help of the command line, the server and the studio alike.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hanlin.core.errors import ConfigError, did_you_mean, shown

T = TypeVar("T", bound="Settings")


class Settings(BaseModel):
    """Frozen, and closed: a key that is no field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


def parse(kind: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Fill `kind` from a mapping. `where` is the path to print before a key, such as "train".

    Raises:
        ConfigError: a key is unknown or a value has the wrong type or range; the message names it in full.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise explain(error, kind, where) from None


def explain(error: ValidationError, kind: type[BaseModel], where: str = "") -> ConfigError:
    """The first thing pydantic found wrong, in our two lines."""
    first = error.errors(include_url=False)[0]
    path = dotted([where, *first["loc"]])
    if first["type"] == "extra_forbidden":
        section = _section(kind, first["loc"][:-1])
        return ConfigError(f"{path} is not a setting", did_you_mean(str(first["loc"][-1]), section.model_fields))
    if first["type"] == "missing":
        return ConfigError(f"{path} is missing", f"set it: {path} = …")
    reason = first["msg"].removeprefix("Value error, ")
    what = f"{path} = {shown(first['input'])}: {reason[:1].lower()}{reason[1:]}"
    return ConfigError(what, f"give {path} {_allowed(_section(kind, first['loc'][:-1]), first['loc'])}")


BOUNDS = (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than"))


def _allowed(section: type[BaseModel], loc: tuple[str | int, ...]) -> str:
    """The range of a field in words, "a value of at least 1 and at most 128"; without one, "another value"."""
    field = section.model_fields.get(str(loc[-1])) if loc else None
    limits = [
        f"{words} {getattr(part, name)}"
        for name, words in BOUNDS
        for part in (field.metadata if field else ())
        if getattr(part, name, None) is not None
    ]
    return f"a value of {' and '.join(limits)}" if limits else "another value"


def dotted(loc: Iterable[str | int]) -> str:
    """`["data", "filters", 0, "min"]` as `data.filters[0].min`."""
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _section(kind: type[BaseModel], loc: Iterable[str | int]) -> type[BaseModel]:
    """The settings class at the end of a path of fields, through lists, options and unions."""
    for part in loc:
        field = kind.model_fields.get(str(part))
        inner = next(_models(field.annotation), None) if field else None
        kind = inner or kind
    return kind


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models(part)


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a mapping.

    Raises:
        ConfigError: there is no such file, or it is not TOML; the message has the line.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path} cannot be read: {reason}", "name a run file, such as runs/tour.toml") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}", "mend that line; strings need quotes") from None


def override(values: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """A copy of `values` with `section.key=value` applied, the value read as TOML (else as plain text).

    Raises:
        ConfigError: an assignment has no `=`, or its path runs through a value that is no section.
    """
    changed = dict(values)
    for assignment in assignments:
        path, sign, text = assignment.partition("=")
        if not sign or not path.strip():
            raise ConfigError(f"{shown(assignment)} is not an override", "write it as section.key=value")
        changed = _placed(changed, path.strip().split("."), _value(text), path)
    return changed


def _placed(values: Mapping[str, Any], path: list[str], value: Any, whole: str) -> dict[str, Any]:
    head, *rest = path
    if not rest:
        return {**values, head: value}
    inner = values.get(head, {})
    if not isinstance(inner, Mapping):
        raise ConfigError(
            f"{whole}: {head} is {shown(inner)}, not a section", f"override {head} itself, or another key"
        )
    return {**values, head: _placed(inner, rest, value, whole)}


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def load(kind: type[T], path: Path, assignments: Iterable[str] = ()) -> T:
    """Settings of one kind from a run file and overrides.

    Raises:
        ConfigError: the file, a key or a value is wrong.
    """
    return parse(kind, override(read_toml(path), assignments))
