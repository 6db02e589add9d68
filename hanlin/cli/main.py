"""`hanlin VERB …`: the verb is a file in `commands/`, read only when it is asked for.

So `hanlin --help` costs milliseconds: it reads the first line of each file and imports none of them.
A HanlinError becomes its two lines on standard error and exit code 2; `--debug` adds the traceback. Anything else that
escapes is a bug of ours, and says so.
"""

import errno
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from hanlin import __version__
from hanlin.core.errors import ConfigError, HanlinError, did_you_mean

COMMANDS = Path(__file__).parent / "commands"
# With its first model pydantic looks for plug-ins among all packages: a fifth of a second where there are many.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


class Verbs(click.Group):
    """A group whose commands are the files of `commands/`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: D102
        return sorted(path.stem for path in COMMANDS.glob("[a-z]*.py"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: D102
        if cmd_name not in self.list_commands(ctx):
            return None
        from importlib import import_module

        return import_module(f"hanlin.cli.commands.{cmd_name}").command

    def resolve_command(self, ctx: click.Context, args: list[str]):  # noqa: D102
        if args and args[0] not in self.list_commands(ctx):
            raise ConfigError(f"{args[0]!r} is not a verb of hanlin", did_you_mean(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: D102
        with formatter.section("Verbs"):
            formatter.write_dl([(name, _first_line(COMMANDS / f"{name}.py")) for name in self.list_commands(ctx)])


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8") as source:
        return source.readline().strip().strip('"').rstrip(".")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="hanlin")
@click.option("--debug", is_flag=True, help="On an error, print the traceback too.")
def hanlin(debug: bool) -> None:
    """Hanlin (翰林): a language model's whole life on your own machine.

    `hanlin VERB --help` explains each verb. `hanlin tour` shows them all at work.
    """
    del debug  # read from the arguments in main(): errors can come before click has parsed it


def main() -> None:
    """The console script. Exit codes: 0 done, 1 a bug of ours, 2 an error with its fix, 130 interrupted."""
    _open_what_is_closed()
    output = sys.stdout
    try:
        code = hanlin.main(standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except SystemExit as left:
        # Where `hanlin … | head` has read enough, click wraps the output and ends with 1; to us nothing is wrong.
        sys.exit(0 if sys.stdout is not output else left.code)
    except HanlinError as error:
        _fail(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.UsageError as error:
        verb = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
        path = error.ctx.command_path if error.ctx else f"hanlin {verb}".strip()
        _fail(f"{error.format_message().rstrip('.')}\n  fix: see `{path} --help`")
    except click.ClickException as error:
        _fail(f"{error.format_message()}\n  fix: see `hanlin --help`")
    except (click.Abort, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt):  # click has ended the line of an Abort
            sys.stderr.write("\n")
        sys.exit(130)
    except MemoryError:
        _fail("the memory of this machine is used up\n  fix: a smaller model or a shorter text; see `hanlin doctor`")
    except BrokenPipeError:  # the same, found out by our own last flush
        _drop_output()
        sys.exit(0)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            _drop_output()
            _fail(f"the output cannot be written: {error.strerror}\n  fix: free some space, or send it elsewhere")
        what = f"this is a bug in hanlin: {type(error).__name__}: {error}"
        _fail(f"{what}\n  fix: run it again as `hanlin --debug …` and report what it prints", code=1)


def _open_what_is_closed() -> None:
    """Python has None for a stream that the shell closed (`<&-`): nothing is to be read there, nothing to be shown."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def _drop_output() -> None:
    """What is still to be written goes nowhere, so that Python's own last flush does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int = 2) -> NoReturn:
    if "--debug" in sys.argv:
        import traceback

        traceback.print_exc()
    sys.stderr.write(f"{message}\n")
    sys.exit(code)
