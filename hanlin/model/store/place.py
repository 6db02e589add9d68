"""Names into places: where a model lies, is staged and is locked, and which names and paths may be used at all."""

import re
from pathlib import Path
from urllib.parse import quote, unquote

from hanlin.core.errors import ConfigError, RefusedError, shown
from hanlin.core.home import home

NAME_BYTES = 200
ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MANIFEST = "manifest.json"


def root() -> Path:
    """The store. It may not exist yet."""
    return home() / "models"


def folder(name: str) -> Path:
    """Where the model of that name lies once it is here."""
    return root() / slug(name)


def staging(name: str) -> Path:
    """Where it is put together."""
    return root() / ".staging" / slug(name)


def lock(name: str) -> Path:
    """The file that one pull of it holds."""
    return root() / ".locks" / f"{slug(name)}.lock"


def slug(name: str) -> str:
    """One name as one folder name: `org/name@v1` becomes `org--name@v1`, whatever is unusual is percent-encoded.

    Raises:
        ConfigError: the name is empty, too long, or tries to leave the store.
    """
    text = quote(name, safe="=+@,").replace("%2F", "--")
    if not name.strip() or len(text) > NAME_BYTES or text.startswith(".") or ".." in name.split("/"):
        fix = "a name is a stored name, org/name, pypi:package==version, or the path of a folder or .gguf file"
        raise ConfigError(f"{shown(name)} cannot be the name of a model", fix)
    return text


def is_outside(name: str) -> bool:
    """Whether the name can only be a path, so that nothing stored can have it."""
    is_long = len(name) > NAME_BYTES
    return is_long or name.startswith(("./", "/", "~")) or name == "." or ".." in name.split("/")


def name_of(text: str) -> str:
    """The name that a folder name spells."""
    return unquote(text.replace("--", "/"))


def checked_alias(alias: str) -> str:
    """A name of the user's own choice.

    Raises:
        ConfigError: it has other characters than letters, digits, `.`, `_` and `-`.
    """
    if not ALIAS.fullmatch(alias) or "--" in alias or len(alias) > NAME_BYTES:
        fix = "use letters, digits, '.', '_' and single '-', such as my-model"
        raise ConfigError(f"{shown(alias)} cannot be a name in the store", fix)
    return alias


def inside(path: str, where: str) -> str:
    """A file's path in a model's folder, as a source spells it, if it stays in that folder.

    Raises:
        RefusedError: it is absolute, climbs, or has parts that some system reads as something else.
    """
    parts = path.split("/")
    is_plain = all(part not in ("", ".", "..") and len(part.encode("utf-8", "replace")) <= 255 for part in parts)
    if not is_plain or re.search(r"[\\\x00-\x1f\x7f]|^[A-Za-z]:", path):
        what = f"{where} has a file {shown(path)}, which may lead out of the store"
        raise RefusedError(what, "take the model from elsewhere")
    return path
