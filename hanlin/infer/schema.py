"""JSON Schema before anything is made of it: a schema in, itself as plain JSON out, or an error that names the keyword.

Only what is enforced in full may stand in a schema: a keyword that would be left out silently is an error, a word that
is no keyword too (it may be a slip). What the library behind checks itself (types, ranges, patterns, formats) is left
to it. Reference: https://json-schema.org/draft/2020-12 and
https://github.com/guidance-ai/llguidance/blob/main/docs/json_schema.md
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hanlin.core.errors import ConfigError, did_you_mean, shown

MAPS = ("properties", "patternProperties", "$defs", "definitions")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
INNER = ("items", "additionalProperties")
ASSERTED = (
    *("type", "const", "enum", "$ref", "required", "minProperties", "maxProperties", "minItems", "maxItems"),
    *("minLength", "maxLength", "pattern", "format"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
)
NOTES = (
    *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
    *("$schema", "$id", "$comment", "discriminator"),
)
KEYWORDS = (*MAPS, *LISTS, *INNER, *ASSERTED, *NOTES)
CONTROL = re.compile(r"[\x00-\x07\x0b\x0e-\x1f]")
MOST_TARGETS = 100
"""Different $ref of one schema. The library follows them by recursion; a chain of 200 overflows a stack of 1 MB."""


def checked(schema: Any, longest: int) -> str:
    """A schema (parsed, or as text of at most `longest` characters) as JSON text.

    Raises:
        ConfigError: it is no JSON, no schema, has a keyword that is not enforced, or nothing can ever satisfy it.
    """
    try:
        if isinstance(schema, str):
            if len(schema) > longest:
                raise ConfigError(f"a JSON schema of {len(schema):,} characters", f"give at most {longest:,}")
            schema = json.loads(schema)
        text = json.dumps(schema, allow_nan=False)
        if len(text) > longest:
            raise ConfigError(f"a JSON schema of {len(text):,} characters", f"give at most {longest:,}")
        schema = json.loads(text)  # a copy: keys are texts, nothing is shared
        nodes = list(_nodes(schema, "json_schema"))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"the JSON schema is no JSON: {error}", "give a JSON object, or a file with one") from None
    except RecursionError:
        raise ConfigError("the JSON schema is nested without end", "use $ref for what repeats") from None
    targets = {node["$ref"] for node in nodes if "$ref" in node}
    if len(targets) > MOST_TARGETS:
        raise ConfigError(f"json_schema has {len(targets):,} different $ref", f"use at most {MOST_TARGETS}")
    if not _can_end(schema, nodes):
        raise ConfigError("json_schema: no JSON of finite length satisfies it", "let what refers to itself be optional")
    return json.dumps({} if schema is True else schema)


def _nodes(schema: Any, path: str) -> Iterator[dict[str, Any]]:
    """Every schema object, outermost first, each checked."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise ConfigError(f"{path} = {shown(schema)} is no JSON schema", "give an object, true or false")
    _check_keys(schema, path)
    yield schema
    for key in MAPS:
        for name, inner in _of_kind(schema, key, dict, path).items():
            yield from _nodes(inner, f"{path}.{key}.{name}")
    for key in LISTS:
        for place, inner in enumerate(_of_kind(schema, key, list, path)):
            yield from _nodes(inner, f"{path}.{key}[{place}]")
    for key in INNER:
        if key in schema:
            yield from _nodes(schema[key], f"{path}.{key}")


def _of_kind(schema: Mapping[str, Any], key: str, kind: type, path: str) -> Any:
    value = schema.get(key, kind())
    if not isinstance(value, kind):
        raise ConfigError(f"{path}.{key} = {shown(value)}", f"give {'an object' if kind is dict else 'a list'}")
    return value


def _check_keys(schema: Mapping[str, Any], path: str) -> None:
    for key, value in schema.items():
        if key not in KEYWORDS and (not key.startswith("x-") or key == "x-guidance"):
            near = did_you_mean(key, KEYWORDS)
            fix = near if near.startswith("did you mean") else "remove it: no answer can be held to it"
            raise ConfigError(f"{path}.{key}: the JSON-schema keyword {shown(key)} is not supported", fix)
        if key in ("exclusiveMinimum", "exclusiveMaximum") and isinstance(value, bool):
            raise ConfigError(f"{path}.{key} = {json.dumps(value)}", "give the number itself, as drafts from 6 on")
        if key in ("const", "enum") and CONTROL.search("".join(_texts(value))):
            raise ConfigError(f"{path}.{key} holds a control character", "spell it in another way")
    if not isinstance(schema.get("$ref", ""), str):
        raise ConfigError(f"{path}.$ref = {shown(schema['$ref'])}", 'give a text such as "#/$defs/name"')
    required = _of_kind(schema, "required", list, path)
    fewest = schema.get("minProperties", 0)
    if isinstance(fewest, int) and fewest > max(1, len(required)):
        # free keys may repeat in the text, and count once when it is read
        raise ConfigError(f"{path}.minProperties = {fewest} is not supported", "name that many properties in required")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _texts(inner)


def _can_end(schema: Any, nodes: list[dict[str, Any]]) -> bool:
    """Whether some JSON of finite length may satisfy it: the smallest set of schemas that can, grown until it stops."""
    ended: set[int] = set()

    def ends(inner: Any) -> bool:
        return inner if isinstance(inner, bool) else id(inner) in ended

    while True:
        more = {id(node) for node in reversed(nodes) if id(node) not in ended and _ends(node, schema, ends)}
        if not more:
            return ends(schema)
        ended |= more


def _ends(node: Mapping[str, Any], root: Any, ends: Any) -> bool:
    kinds = node.get("type", ["null"])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "$ref" in node and not ends(_target(node["$ref"], root)):
        return False
    if any(not any(map(ends, node[key])) for key in ("anyOf", "oneOf") if key in node):
        return False
    if not all(map(ends, node.get("allOf", ()))):
        return False
    if any(kind not in ("object", "array") for kind in kinds):
        return True
    others = node.get("additionalProperties", True)
    has_object = all(ends(node.get("properties", {}).get(name, others)) for name in node.get("required", ()))
    prefix, fewest = node.get("prefixItems", []), node.get("minItems", 0)
    fewest = fewest if isinstance(fewest, int) else 0
    has_array = all(map(ends, prefix[:fewest])) and (fewest <= len(prefix) or ends(node.get("items", True)))
    return ("object" in kinds and has_object) or ("array" in kinds and has_array)


def _target(reference: str, root: Any) -> Any:
    """What a $ref within the schema names; true where it cannot be told here."""
    if not reference.startswith("#"):
        return True
    found = root
    for part in reference[1:].split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, dict) and part in found:
            found = found[part]
        else:
            return True
    return found if isinstance(found, dict | bool) else True
