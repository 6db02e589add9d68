"""Make docs/commands.md from the verbs' own --help. `make docs` writes it, `--check` holds it against the code."""

import sys
from pathlib import Path

import click

from hanlin.cli.main import hanlin

PAGE = Path(__file__).parent / "commands.md"
HEAD = """# Commands

Made by `make docs` from `hanlin VERB --help`; do not edit.

Exit codes: 0 done, 2 an error (two lines: what happened, the fix; `hanlin --debug VERB …` adds the traceback),
130 interrupted.
"""


def page() -> str:
    """The whole page."""
    top = click.Context(hanlin, info_name="hanlin", terminal_width=100, help_option_names=["-h", "--help"])
    parts = [HEAD, _block("hanlin", hanlin.get_help(top))]
    for name in hanlin.list_commands(top):
        verb = hanlin.get_command(top, name)
        assert verb is not None
        context = click.Context(verb, info_name=name, parent=top, terminal_width=100)
        parts.append(_block(f"hanlin {name}", verb.get_help(context)))
    return "\n".join(parts)


def _block(title: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"## {title}\n\n```text\n{lines}\n```\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text("utf-8") != page() and "docs/commands.md is not what --help says: run make docs")
    PAGE.write_text(page(), "utf-8")
    print("docs/commands.md written")
