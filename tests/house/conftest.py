"""What the house tests walk: every Python file of the project, parsed once."""

import ast
from pathlib import Path

import pytest

from house.walk import sources


@pytest.fixture(scope="session")
def trees() -> dict[Path, ast.Module]:
    """Every file of the package, parsed."""
    return {path: ast.parse(path.read_text("utf-8")) for path in sources("hanlin")}


@pytest.fixture(scope="session")
def all_trees() -> dict[Path, ast.Module]:
    """Every file of the package, the tests and the benches, parsed."""
    return {path: ast.parse(path.read_text("utf-8")) for path in sources("hanlin", "tests", "bench")}
