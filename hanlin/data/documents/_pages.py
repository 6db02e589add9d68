"""HTML in, its main text out: menus, cookies and footers left behind, by trafilatura (https://aclanthology.org/2021.acl-demo.15)."""

import logging
import re
from dataclasses import replace
from typing import Any, NamedTuple

from hanlin.core.errors import DataError
from hanlin.data.document import Document

LONGEST_PAGE = 20 << 20
"""Bytes; a longer page is no text but a dump."""
DEEPEST = 2_000
"""Elements inside one another: browsers stop at 512; parsers stand 256 or fall over."""


class Page(NamedTuple):
    """What a page says, and what it says of itself."""

    text: str
    title: str
    time: str
    licence: str
    language: str

    def document(self) -> Document:
        """Without a path."""
        about = {"licence": self.licence, "time": self.time, "language": self.language}
        return replace(Document(self.text, title=self.title), **about)


def page(raw: bytes | str, address: str = "") -> Page:
    """The main text of a page with its tables; title, date, licence and language as far as it tells.

    Raises:
        DataError: it is longer or deeper than any page, or has no text.
    """
    import trafilatura

    if len(raw) > LONGEST_PAGE:
        raise DataError(f"a page of {len(raw):,} bytes; {LONGEST_PAGE:,} are the most", "leave it out")
    depth = _depth(raw.encode() if isinstance(raw, str) else raw)
    if depth > DEEPEST:
        raise DataError(f"elements lie {depth:,} deep in one another; {DEEPEST:,} is the most", "leave it out")
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # what it cannot read is told here
    found: Any = trafilatura.bare_extraction(raw, url=address or None, with_metadata=True, include_comments=False)
    text = str(getattr(found, "text", None) or "")
    if not text.strip():
        text = str(trafilatura.html2txt(raw) or "")
    if not text.strip():
        raise DataError(
            "the page has no text", "leave it out; pages made by scripts have to be saved as they are shown"
        )
    told = {key: str(getattr(found, key, None) or "") for key in ("title", "date", "license", "language")}
    return Page(text, told["title"], told["date"], told["license"], told["language"])


def _depth(raw: bytes) -> int:
    """How deep elements lie, by counting marks: never less than what a parser builds of well-formed pages."""
    deepest = depth = 0
    for match in MARKS.finditer(raw):
        closes, name = match.groups()
        if name.lower() not in UNCLOSED:
            depth = max(0, depth + (-1 if closes else 1))
            deepest = max(deepest, depth)
    return deepest


MARKS = re.compile(rb"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
UNCLOSED = frozenset(
    b"area base br col embed hr img input link meta param source track wbr p li td tr th dd dt option".split()
)
"""Elements that nobody has to close."""
