"""Every Python and shell block of the README and the docs runs, and every link leads somewhere.

Blocks run top to bottom per page in one empty folder, with `hanlin` on the path. A line that calls `make` is checked
with `make -n`: the gate runs the real thing. A block marked `net` (```sh net) needs more than the package registries
and is only parsed.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from house.walk import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(python|sh|bash)([^\n]*)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


class Block(NamedTuple):
    """One fenced block of a page."""

    language: str
    marks: str
    source: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The runnable blocks of a page; house.md shows style by example and is not a script."""
    text = page.read_text("utf-8")
    if page.name == "house.md":
        return []
    return [Block(*found.groups(), text[: found.start()].count("\n") + 1) for found in BLOCK.finditer(text)]


def run(block: Block, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one block in `folder` as a reader would."""
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "COLUMNS": "110"}
    if block.language == "python":
        command = [sys.executable, "-c", block.source]
    else:
        script = re.sub(r"^make\b", f"make -n -C {ROOT}", block.source, flags=re.M)
        command = ["bash", "-n" if "net" in block.marks else "-u", "-eo", "pipefail", "-c", script]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_every_block_runs(page: Path, tmp_path: Path, smollm2: Path) -> None:
    for block in blocks(page):
        done = run(block, tmp_path)
        assert done.returncode == 0, f"{page}:{block.line}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link and "mailto:" not in link]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_the_page_of_commands_is_what_help_says() -> None:
    """In a process of its own: click remembers help options from whoever asked a command for help first."""
    command = [sys.executable, ROOT / "docs" / "build.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
