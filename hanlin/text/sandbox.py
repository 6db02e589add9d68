"""A stranger's Jinja program and its variables in, the text it writes out."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hanlin.core.errors import TokenizerError


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message):
    raise TemplateError(message)


@lru_cache(8)
def compiled(source: str) -> Template:
    world = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    world.filters["tojson"] = _tojson
    world.globals["raise_exception"] = _raise
    world.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return world.from_string(source)


def render(source: str, variables: Mapping[str, Any]) -> str:
    try:
        return compiled(source).render(variables)
    except TemplateError as error:
        raise TokenizerError(f"the chat template cannot be applied: {error}", "mend the conversation") from None
