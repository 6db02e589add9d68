"""Figures in, a line of bench/results.jsonl out: the figures with the command, the machine and the commit."""

import datetime
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from hanlin.core.machine import allowed_cores, allowed_memory, cpuinfo, instruction_sets, processor_name

RESULTS = Path(__file__).parent / "results.jsonl"
FOLDERS = re.compile(r"(?:(?<=[=:])|^)/(?:[^/\s]+/)+")
PEERS = ("torch", "transformers", "xllamacpp", "numpy")


def record(name: str, figures: Mapping[str, Any], path: Path = RESULTS) -> None:
    """Append the figures of one bench, named with their units (`seconds`, `tokens_per_second`), and print them."""
    line = {
        "bench": name,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "command": " ".join(["python", f"bench/{Path(sys.argv[0]).name}", *map(_without_folders, sys.argv[1:])]),
        "machine": machine(),
        "figures": figures,
    }
    with path.open("a", encoding="utf-8") as sink:
        sink.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(json.dumps(figures, indent=2, ensure_ascii=False))


def settle(patience_seconds: float) -> None:
    """Wait until nobody else computes here, but no longer than `patience_seconds`."""
    end = time.monotonic() + patience_seconds
    while psutil.cpu_percent(interval=0.5) > 15 and time.monotonic() < end:
        pass


def commit() -> str:
    """The short commit, with a + when tracked files differ from it."""
    asked = ["git", "describe", "--always", "--abbrev=9", "--dirty=+", "--exclude=*"]
    done = subprocess.run(asked, cwd=RESULTS.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "none"


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, cores we may use, memory, others at work, and versions."""
    cores, processor = allowed_cores(), cpuinfo()
    return {
        "processor": processor_name(processor),
        "instruction_sets": instruction_sets(processor),
        "threads": cores.count,
        "logical_cores": cores.allowed,
        "memory_bytes": allowed_memory().total_bytes,
        "load_average": round(os.getloadavg()[0], 1),
        "python": ".".join(map(str, sys.version_info[:3])),
        **{peer: _version(peer) for peer in PEERS},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _without_folders(word: str) -> str:
    """Of paths from the root, alone or behind = or :, only the last name: where things lie is nobody else's matter."""
    return FOLDERS.sub("", word)
