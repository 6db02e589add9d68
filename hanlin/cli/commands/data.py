"""Prepare a corpus: clean, deduplicate and mix folders, archives and dumps into shards for training, and say why."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hanlin.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from hanlin.data.corpus.settings import CorpusSettings
    from hanlin.data.corpus.store import Store
    from hanlin.data.step import Step


def __getattr__(name: str) -> Any:
    """`RunFile`, the settings that a run file of this verb fills."""
    if name != "RunFile":
        raise AttributeError(name)
    from hanlin.data.corpus.settings import CorpusSettings

    return CorpusSettings


class Runs(click.Group):
    """A group whose first word may also be a run file."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:  # noqa: D102
        return super().resolve_command(ctx, args if args[0] in self.commands else ["run", *args])


@click.group(cls=Runs)
def command() -> None:
    """Prepare a corpus as a run file says: hanlin data RUN.toml [key=value …].

    Every document is measured once; what goes and what stays is decided from the measures. `explain` shows why, and
    `what-if` what another bound would change, without measuring again.
    """


@command.command()
@click.argument("file", metavar="RUN.toml", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1)
@click.option("--workers", type=click.IntRange(1), help="Processes that measure  [default: one for each core]")
@click.option("--json", "is_json", is_flag=True, help="One JSON object at the end instead of lines on the way.")
def run(file: Path, overrides: tuple[str, ...], workers: int | None, is_json: bool) -> None:
    """Run it. A run that was stopped goes on where it was; with other bounds, only the decision is made anew."""
    from hanlin.core.settings import load
    from hanlin.data.corpus.settings import CorpusSettings

    settings = load(CorpusSettings, file, overrides)
    if workers is not None:
        settings = settings.model_copy(update={"workers": workers})
    from hanlin.cli.corpus import follow

    follow(settings, is_quiet=is_json)
    if is_json:
        click.echo((Path(settings.out) / "summary.json").read_text("utf-8"))


@command.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("only", required=False, default="")
@click.option("--examples", type=click.IntRange(0), default=2, show_default=True, help="Documents on each side.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the page.")
def explain(folder: Path, only: str, examples: int, is_json: bool) -> None:
    """Why documents went, with those nearest to each bound: hanlin data explain out/mixed [STEP or STEP.BOUND]."""
    from hanlin.data.corpus.decide import decide
    from hanlin.data.corpus.explain import sides, summary
    from hanlin.data.corpus.mixture import mixed

    settings, steps, store = _opened(folder)
    decision = decide(store, settings, steps)
    told = summary(store, decision, mixed(store, decision, settings), settings)
    found = list(sides(store, decision, steps, only, examples))
    if only and not found:
        raise ConfigError(f"{only} is no step or bound of {folder}", "see all: hanlin data explain RUN")
    if is_json:
        bounds = [{"name": it.name, "bound": it.bound, "documents": it.documents} for it in found]
        click.echo(json.dumps({**told, "bounds": bounds}, ensure_ascii=False, indent=2))
        return
    from hanlin.cli.corpus import explained

    explained({} if only else told, found)


@command.command("what-if")
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("changes", metavar="STEP.BOUND=VALUE…", nargs=-1, required=True)
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the page.")
def what_if(folder: Path, changes: tuple[str, ...], is_json: bool) -> None:
    """What other bounds would change, and which documents: hanlin data what-if out/mixed quality.min_words=30."""
    from dataclasses import asdict

    from hanlin.data.corpus.explain import moved

    settings, steps, store = _opened(folder)
    found = moved(store, settings, steps, changes)
    if is_json:
        click.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
        return
    from hanlin.cli.corpus import weighed

    weighed(found)


@command.command("steps")
def list_steps() -> None:
    """The steps there are, with their settings."""
    from hanlin.cli.corpus import offered

    offered()


@command.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--documents", type=click.IntRange(1), default=2000, show_default=True, help="Look at so many.")
@click.option("--terms", type=click.Path(path_type=Path), metavar="FILE", help="Sets of words of your own, as TOML.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the page.")
def fairness(folder: Path, documents: int, terms: Path | None, is_json: bool) -> None:
    """Whom the filters drop more than others, what swaps of group words change, what the corpus says of whom."""
    from dataclasses import asdict

    from hanlin.data.corpus.decide import decide
    from hanlin.data.corpus.fairness import Terms, audit

    settings, steps, store = _opened(folder)
    found = audit(store, decide(store, settings, steps), steps, Terms(terms), documents)
    if is_json:
        click.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
        return
    from hanlin.cli.fairness import told

    told(found)


@command.group()
def contamination() -> None:
    """Exams that training texts must not have: an index of every task's items, for the step of that name."""


@contamination.command("build")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("tasks", metavar="[TASK…]", nargs=-1)
@click.option("--data", multiple=True, metavar="TASK=PATH", help="Other data for a task, or its only ones.")
def build(folder: Path, tasks: tuple[str, ...], data: tuple[str, ...]) -> None:
    """Index these tasks, or all whose data can be had: hanlin data contamination build out/exams."""
    from hanlin.cli.contamination import built

    built(folder, tasks, data)


@contamination.command("show")
@click.argument("index", type=click.Path(path_type=Path, file_okay=False))
@click.argument("items", metavar="[TASK/NUMBER…]", nargs=-1)
@click.option("--run", "of", type=click.Path(path_type=Path), metavar="RUN", help="A corpus run that looked for them.")
def show(index: Path, items: tuple[str, ...], of: Path | None) -> None:
    """What an index holds; with --run, which items stand in its documents."""
    from hanlin.cli.contamination import shown_of

    shown_of(index, of, items)


def _opened(folder: Path) -> tuple["CorpusSettings", Sequence["Step"], "Store"]:
    """A run's settings, steps and measures.

    Raises:
        DataError: it is no folder of a corpus run.
    """
    from hanlin.core.settings import load
    from hanlin.data.corpus.settings import CorpusSettings
    from hanlin.data.corpus.store import Store
    from hanlin.data.step import opened

    if folder.suffix == ".toml":
        folder = Path(load(CorpusSettings, folder).out)
    if not (folder / "run.toml").is_file() or not (folder / "parts").is_dir():
        raise DataError(f"{folder} is no corpus run", "give the folder that hanlin data RUN.toml made")
    settings = load(CorpusSettings, folder / "run.toml")
    return settings, opened(settings.steps), Store(folder / "parts")
