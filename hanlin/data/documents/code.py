"""Source code: a file is a document, with its language and the licence that it or its folder states."""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from hanlin.core.errors import DataError
from hanlin.data.document import Document, Refused
from hanlin.data.opened import File, lines, suffix
from hanlin.data.settings import SourceSettings

LANGUAGES = {
    "c": ".c .h",
    "c++": ".cc .cpp .cxx .hpp .hh",
    "c#": ".cs",
    "css": ".css",
    "go": ".go",
    "haskell": ".hs",
    "java": ".java",
    "javascript": ".js .mjs .jsx",
    "julia": ".jl",
    "kotlin": ".kt",
    "lua": ".lua",
    "ocaml": ".ml",
    "perl": ".pl .pm",
    "php": ".php",
    "python": ".py .pyi",
    "r": ".r",
    "ruby": ".rb",
    "rust": ".rs",
    "scala": ".scala",
    "shell": ".sh .bash",
    "sql": ".sql",
    "swift": ".swift",
    "typescript": ".ts .tsx",
}
BY_ENDING = {ending: language for language, endings in LANGUAGES.items() for ending in endings.split()}
SUFFIXES = tuple(BY_ENDING)
LONGEST = 1 << 20
"""Characters; longer sources are made by programs, not written."""
STATED = re.compile(r"SPDX-License-Identifier:\s*\(?([\w.+-]+(?:\s+(?:OR|AND|WITH)\s+[\w.+-]+)*)")
NAMES = ("LICENSE", "LICENCE", "COPYING", "LICENSE.txt", "LICENSE.md", "COPYING.txt", "LICENCE.txt")
WORDS = (
    ("Apache License", "Apache-2.0"),
    ("GNU AFFERO GENERAL PUBLIC LICENSE", "AGPL-3.0"),
    ("GNU LESSER GENERAL PUBLIC LICENSE", "LGPL"),
    ("GNU GENERAL PUBLIC LICENSE", "GPL"),
    ("Mozilla Public License", "MPL-2.0"),
    ("Permission is hereby granted, free of charge", "MIT"),
    ("Neither the name of", "BSD-3-Clause"),
    ("Redistribution and use in source and binary forms", "BSD-2-Clause"),
    ("Permission to use, copy, modify, and/or distribute", "ISC"),
    ("This is free and unencumbered software", "Unlicense"),
)


def documents(file: File, _: SourceSettings) -> Iterator[Document | Refused]:
    """The file, if it is one that somebody wrote."""
    parts: list[str] = []
    length = 0
    try:
        for line in lines(file):
            length += len(line.text)
            if length > LONGEST:
                yield Refused(file.name, 1, f"over {LONGEST:,} characters of source: made by a program")
                return
            parts.append(line.text)
    except DataError as error:
        yield Refused(file.name, 1, error.what)
        return
    text = "".join(parts)
    if not text.strip():
        yield Refused(file.name, 1, "the file is empty")
        return
    stated = STATED.search(text[:4096])
    licence = stated.group(1) if stated else known(text[:4096]) or licence_of(file.path.parent)
    yield Document(text, path=file.name, licence=licence, facts={"programming": BY_ENDING[suffix(file.name)]})


def known(text: str) -> str:
    """The licence whose words are in a text, comment marks left out; empty: none that is known."""
    plain = " ".join(word for word in text.split() if word not in ("#", "//", "*", "--"))
    return next((short for words, short in WORDS if words in plain), "")


@lru_cache(4096)
def licence_of(folder: Path) -> str:
    """SPDX name of the licence that the folder, or the nearest one above, has a file of; else its first line."""
    for place in (folder, *folder.parents):
        for name in NAMES:
            path = place / name
            if path.is_file():
                text = path.read_text("utf-8", "replace")[:20_000]
                return known(text) or next((line.strip()[:80] for line in text.splitlines() if line.strip()), "")
        if (place / ".git").exists():
            break
    return ""
