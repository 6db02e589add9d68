"""Doors open only to the left, and torch stays out of the rooms that promise to do without it."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hanlin
from house.walk import PACKAGE

LINE = "core text data kernels model infer eval train lens guard know apps serve studio cli".split()
TORCHLESS = (
    *("core", "text", "kernels", "model/store", "model/gguf", "model/families", "model/parts", "model/opened"),
    *("model/native", "model/plan", "infer/engine", "infer/answer", "infer/choose", "infer/guide"),
)
TORCH_ALLOWED = {"core/machine.py", "core/measure.py"}


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every module a file names: at the top, deferred, type-only, or as a dotted string handed to importlib."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide which room they reach"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Constant) and re.match(r"hanlin\.[a-z_]+(\.|$)", str(node.value)):
            yield node.lineno, str(node.value)


def room(module: str) -> str | None:
    """`hanlin.model.load` → "model", `hanlin.load` → "infer"; None for the package and for what is outside it."""
    parts = module.split(".")
    if module in ("hanlin.load", "hanlin.Model"):
        return room(getattr(hanlin, parts[1]).__module__)
    return parts[1] if parts[0] == "hanlin" and len(parts) > 1 and parts[1] in LINE else None


def test_every_folder_of_the_package_is_a_room_of_the_line() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(LINE), f"not in the line of rooms: {folders - set(LINE)}"


def test_every_import_points_left(trees: dict[Path, ast.Module]) -> None:
    wrong = []
    for path, tree in trees.items():
        here = path.relative_to(PACKAGE).parts[0]
        if here not in LINE:
            continue
        for line, module in imports(tree):
            there = room(module)
            if there and LINE.index(there) > LINE.index(here):
                wrong.append(f"{path.relative_to(PACKAGE)}:{line} {here} → {there}")
    assert not wrong, "\n".join(wrong)


def test_an_import_to_the_right_would_be_seen() -> None:
    deferred = ast.parse("def f():\n    from hanlin.cli import main\n")
    typed = ast.parse("if TYPE_CHECKING:\n    import hanlin.cli.main\n")
    dynamic = ast.parse("import_module('hanlin.cli.main')")
    assert [room(module) for tree in (deferred, typed, dynamic) for _, module in imports(tree)] == ["cli"] * 3
    through_the_package = ast.parse("from hanlin import load")
    assert [room(module) for _, module in imports(through_the_package)] == ["infer"]


def test_rooms_that_promise_no_torch_import_none(trees: dict[Path, ast.Module]) -> None:
    wrong = []
    for path, tree in trees.items():
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(TORCHLESS) and name not in TORCH_ALLOWED:
            wrong += [f"{name}:{line}" for line, module in imports(tree) if module.split(".")[0] == "torch"]
    assert not wrong, "\n".join(wrong)


def test_importing_hanlin_or_asking_for_help_loads_no_torch() -> None:
    for code in (
        "import hanlin",
        "import hanlin.model.store, hanlin.text.tokenizer, hanlin.core.plugins, hanlin.kernels",
        "import sys, hanlin.cli.main as m; sys.argv[1:] = ['--help']\ntry: m.main()\nexcept SystemExit: pass",
    ):
        check = f"{code}\nimport sys; assert 'torch' not in sys.modules, 'torch was imported'"
        done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
