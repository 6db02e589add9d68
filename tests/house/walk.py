"""Where the project lies and which Python files it has."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "hanlin"


def sources(*folders: str) -> list[Path]:
    """Python files under the folders, in a fixed order."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
