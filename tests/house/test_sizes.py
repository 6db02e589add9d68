"""The size of the house is watched: files of one thought, functions of one screen."""

import ast
from pathlib import Path

from house.walk import ROOT

LONGEST_FILE = 400
LONGEST_FUNCTION = 60


def test_no_file_is_longer_than_400_lines(all_trees: dict[Path, ast.Module]) -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text("utf-8").splitlines()) for path in all_trees}
    assert not {str(path): lines for path, lines in lengths.items() if lines > LONGEST_FILE}


def test_no_function_is_longer_than_60_lines(all_trees: dict[Path, ast.Module]) -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines}"
        for path, tree in all_trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert not long, "\n".join(long)
