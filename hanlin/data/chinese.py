"""Traditional and simplified characters: which of the two a text is in, and one turned into the other.

By OpenCC's tables (opencc-python-reimplemented): https://github.com/BYVoid/OpenCC
"""

from functools import cache
from pathlib import Path
from typing import Any

from opencc import opencc

WAYS = {"simplified": "t2s", "traditional": "s2t"}


def converted(text: str, to: str) -> str:
    """The text in "simplified" or "traditional" characters; phrases first, so that 头发 is 頭髮 and 发现 發現."""
    return text if text.isascii() else _converter(WAYS[to]).convert(text)


def script(text: str) -> str:
    """ "Hans", "Hant", or "" where nothing tells: by characters that only one of the two has."""
    simplified, traditional = _only()
    found = len(text.translate(simplified)), len(text.translate(traditional))
    return "" if found[0] == found[1] else "Hans" if found[0] < found[1] else "Hant"


@cache
def _converter(way: str) -> Any:
    return opencc.OpenCC(way)


@cache
def _only() -> tuple[dict[int, None], dict[int, None]]:
    """Tables that delete characters which are simplified only, and those which are traditional only."""
    folder = Path(opencc.__file__).parent / "dictionary"
    keys = []
    for name in ("STCharacters.txt", "TSCharacters.txt"):
        pairs = (line.split("\t") for line in (folder / name).read_text("utf-8").splitlines() if "\t" in line)
        keys.append({key for key, values in pairs if key not in values.split()})
    return tuple(dict.fromkeys(map(ord, mine - others)) for mine, others in (keys, keys[::-1]))  # pyright: ignore
