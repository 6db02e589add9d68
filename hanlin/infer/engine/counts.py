"""What an engine has done so far, in numbers: for reports and tests."""

from dataclasses import dataclass


@dataclass
class Counts:
    """What an engine has done so far."""

    steps: int = 0
    rows: int = 0
    """Positions computed."""
    found: int = 0
    """Tokens of prompts that were computed before, for others."""
    preempted: int = 0
    guessed: int = 0
    right: int = 0
    drafted: int = 0
    """Of those that were guessed, by a draft model."""
