"""Memory that is free goes back to the system."""

import platform
import sys
from pathlib import Path

import pytest

from hanlin.core.heap import give_back


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="only glibc keeps it")
def test_what_was_freed_between_pieces_that_live_does_not_count_any_more() -> None:
    held = [bytes(1 << 16) for _ in range(1000)]
    held = held[::100]  # one in a hundred lives, and pins what lies before it
    before = resident_bytes()
    give_back()
    assert before - resident_bytes() > 30 << 20
    assert len(held) == 10


def test_anywhere_else_nothing_is_given_back_and_nothing_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert give_back() is False
