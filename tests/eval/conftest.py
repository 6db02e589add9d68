"""Real sentences in English and Chinese, each with what a poor translator might have made of it."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "shared" / "resources.py"
Pairs = list[tuple[str, str]]


@pytest.fixture(scope="session")
def translations() -> dict[str, Pairs]:
    """`{"en": [(poor, right), …], "zh": …}`, 1,500 of each."""
    if not SCRIPT.is_file():
        pytest.skip("no resources script beside this checkout")
    done = subprocess.run([sys.executable, SCRIPT, "zh-en"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"zh-en: {done.stderr[-200:]}")
    rows = [line.split("\t") for line in Path(done.stdout.strip()).read_text("utf-8").splitlines()]
    draw = random.Random(7)
    chosen = draw.sample([row for row in rows if len(row) == 3 and len(row[2]) > 8], 1500)
    return {
        "en": [(" ".join(_poor(en.split(), draw)), en) for _, en, _ in chosen],
        "zh": [("".join(_poor(list(zh), draw)), zh) for _, _, zh in chosen],
    }


def _poor(pieces: list[str], draw: random.Random) -> list[str]:
    """Some left out, some swapped, some twice."""
    kept = [piece for piece in pieces if draw.random() > 0.12]
    for place in range(len(kept) - 1):
        if draw.random() < 0.1:
            kept[place : place + 2] = kept[place + 1], kept[place]
    return kept + kept[: draw.randint(0, 2)]
