"""Command-line options from a settings class: one field, one option, its docstring the help."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from hanlin.core.settings import Settings, parse

T = TypeVar("T", bound=Settings)
Command = Callable[..., Any]


def options(kind: type[Settings], *, skip: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """Decorate a command with one option per field of `kind`: `top_k: int` becomes `--top-k INTEGER`.

    The values arrive as keyword arguments under the fields' names; `chosen` gathers them again.
    """

    def decorate(function: Command) -> Command:
        for name, field in reversed(kind.model_fields.items()):
            if name not in skip:
                function = _option(name, field)(function)
        return function

    return decorate


def chosen(kind: type[T], values: dict[str, Any], base: T | None = None) -> T:
    """The settings that a command's options spell; what was not given is as in `base`, else takes the default.

    Raises:
        ConfigError: a value is out of range.
    """
    given = {name: values[name] for name in kind.model_fields if values.get(name) not in (None, ())}
    return parse(kind, {**(base.model_dump() if base else {}), **given})


def _option(name: str, field: FieldInfo) -> Callable[[Command], Command]:
    annotation = field.annotation
    inner = [part for part in get_args(annotation) if part is not type(None)]
    is_many = get_origin(annotation) is tuple
    plain = inner[0] if inner and get_origin(annotation) is not Literal else annotation
    flag = f"--{name.replace('_', '-')}"
    help_text = " ".join((field.description or "").split())
    if not is_many and field.default is not None:
        help_text += f"  [default: {field.default}]"
    if plain is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=help_text)
    kind = click.Choice(get_args(plain)) if get_origin(plain) is Literal else plain
    return click.option(flag, name, type=kind, multiple=is_many, default=None, help=help_text)
