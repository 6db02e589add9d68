"""Kernels are built where that can be done, and an installation without a compiler goes through and says so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hanlin
from hanlin import kernels

ROOT = Path(hanlin.__file__).parents[1]
IS_BUILDABLE = shutil.which(os.environ.get("CXX", "c++")) is not None and kernels.VARIABLE not in os.environ


@pytest.mark.skipif(not IS_BUILDABLE, reason="there is no C++ compiler, or the environment chooses the kernels")
def test_where_there_is_a_compiler_there_are_kernels() -> None:
    """Else all tests of this folder would be skipped, and nobody the wiser."""
    assert kernels.missing() is None


def test_an_installation_without_a_compiler_goes_through_and_says_so(tmp_path: Path) -> None:
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "hanlin/kernels", tmp_path / "hanlin/kernels", ignore=shutil.ignore_patterns("*.so"))
    environment = {**os.environ, "CC": "/no/compiler", "CXX": "/no/compiler"}
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "hanlin: no native kernels" in done.stderr
    assert not list(tmp_path.glob("hanlin/kernels/_native*"))
