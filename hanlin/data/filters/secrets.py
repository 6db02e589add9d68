"""Passwords, keys and tokens, by detect-secrets: texts in, texts without them out; or a bound drops them.

https://github.com/Yelp/detect-secrets. Left out are its guesses by entropy and by the word "password": of prose and of
programs they find mostly what is none; `guess = true` has them. Nothing is asked of any server.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

from hanlin.core.errors import ConfigError
from hanlin.data.step import Change, Tags
from hanlin.data.view import View
from hanlin.text.personal import WIDE

GUESSES = ("high_entropy_strings", "keyword")
OTHERS = ("ip_public", "base")
SIGN = re.compile(
    r"BEGIN|[A-Za-z0-9_\-]{20,}|[A-Za-z0-9+/=._\-]{16,}|://[^\s/@]{1,100}:[^\s@]{1,100}@|hooks\.slack|password|secret",
    re.I,
)
"""A line that has none of this is not asked about."""
BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY[A-Z ]*-----[\s\S]{1,10000}?-----END [A-Z ]*PRIVATE KEY[A-Z ]*-----")
MOST = 4000
"""Characters of a line that are looked at in one piece."""


class Step(Change):
    """Secrets, by detect-secrets' plugins."""

    action: Literal["count", "mask"] = "mask"
    """count: leave them; mask: write [SECRET]. To drop documents: max_found = 0."""
    guess: bool = False
    """Take long random strings, and what stands after the word password, for secrets too."""
    max_found: int | None = 20
    """Most secrets."""

    def change(self, view: View) -> tuple[str, Tags]:
        """The text, and how many secrets there were."""
        text, blocks = BLOCK.subn("[SECRET]", view.text)
        found = 0
        lines = text.split("\n")
        for at, line in enumerate(lines):
            values = set(secrets(line, self.guess)) if SIGN.search(line) else set()
            for value in sorted(values, key=len, reverse=True):
                found += line.count(value)
                line = line.replace(value, "[SECRET]")
            lines[at] = line
        return "\n".join(lines) if self.action == "mask" else view.text, {"found": found + blocks}


def secrets(line: str, guess: bool = False) -> Iterator[str]:
    """The secrets of a line.

    Raises:
        ConfigError: detect-secrets is not installed.
    """
    for start in range(0, len(line), MOST):
        piece = WIDE.sub(" ", line[start : start + MOST])
        for plugin in _plugins(guess):
            yield from (value for value in _values(plugin, piece) if value and len(value) > 5)


def _values(plugin: Any, piece: str) -> Iterator[str]:
    """What a plugin finds, whole: it says only the "ghp" of a GitHub token, which is a group of its pattern."""
    if isinstance(getattr(plugin, "denylist", None), list | tuple) and type(plugin).__name__ != "BasicAuthDetector":
        for pattern in plugin.denylist:
            yield from (found[0].strip(" \t\"'=:") for found in pattern.finditer(piece))
    else:
        yield from plugin.analyze_string(piece)


@cache
def _plugins(guess: bool) -> tuple[Any, ...]:
    try:
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    except ImportError:
        raise ConfigError("secrets need detect-secrets, which is not installed", "pip install 'hanlin[data]'") from None
    found = get_mapping_from_secret_type_to_class().values()
    left_out = OTHERS if guess else (*OTHERS, *GUESSES)
    return tuple(kind() for kind in found if kind.__module__.rpartition(".")[2] not in left_out)
