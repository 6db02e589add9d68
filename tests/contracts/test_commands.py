"""Every verb of `hanlin` is a file with a command, a line for `hanlin --help`, help for each option, and no torch."""

import ast
import subprocess
import sys

import click
import pytest

from hanlin.cli.main import COMMANDS, hanlin
from hanlin.core.plugins import find, names

FOLDER = "hanlin.cli.commands"


@pytest.mark.parametrize("verb", names(FOLDER))
def test_a_verb_says_what_it_does_and_what_each_option_does(verb: str) -> None:
    module = find(FOLDER, verb)
    assert isinstance(module.command, click.Command)
    first = (ast.get_docstring(ast.parse((COMMANDS / f"{verb}.py").read_text("utf-8"))) or "").splitlines()[0]
    assert len(first) > 10
    assert first.rstrip(".") in hanlin.get_help(click.Context(hanlin, terminal_width=200, max_content_width=200))
    assert module.command.help
    silent = [option.name for option in module.command.params if isinstance(option, click.Option) and not option.help]
    assert not silent


def test_help_of_every_verb_imports_no_torch() -> None:
    code = f"""
import sys
from hanlin.cli.main import hanlin
for verb in {names(FOLDER)!r}:
    try:
        hanlin([verb, "--help"])
    except SystemExit as done:
        assert done.code == 0, verb
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
