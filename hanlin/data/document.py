"""A text to be cleaned, with where it comes from, and what is kept of one that cannot be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Document:
    """A text and its origin. Its name is the same each time its source is read."""

    text: str
    source: str = ""
    """Name of the source in the run file."""
    path: str = ""
    """File, member of an archive, or URL."""
    number: int = 1
    """Which document of its file; the first is 1."""
    title: str = ""
    licence: str = ""
    """SPDX name or words, if known."""
    time: str = ""
    """When it was written or fetched, ISO 8601, if known."""
    language: str = ""
    """As its source says."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else its source tells; plain JSON."""

    @property
    def name(self) -> str:
        """Stable: the path, and the number where a file has several."""
        return self.path if self.number == 1 else f"{self.path}#{self.number}"


@dataclass(frozen=True)
class Refused:
    """A document, or a whole file, that could not be read or measured: kept aside with the reason."""

    path: str
    number: int
    what: str
    """What happened."""
    step: str = "read"
    """Where: read, or the name of a step."""
