"""What a pull tells while it runs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a pull is, or something the user should know."""

    file: str = ""
    """The file on its way, "" between files."""
    done_bytes: int = 0
    """Bytes of the whole pull that are here and counted."""
    total_bytes: int = 0
    """Bytes of the whole pull; 0 as long as nobody knows."""
    note: str = ""
    """A sentence for the user: which source, a wait, a second try. "" where only the bytes moved."""
