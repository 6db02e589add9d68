"""Draw where a model, adapter, tokenizer or data set comes from, and check it by hash."""

import json
from pathlib import Path

import click


@click.command()
@click.argument("artefact", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the tree.")
@click.pass_context
def command(ctx: click.Context, artefact: Path, is_json: bool) -> None:
    """The tree of everything that FILE or FOLDER was made from, each hashed again where it lies.

    What changed since is said, file by file; exits with 2 then. What has been moved or deleted since is no error: its
    hash still names it.
    """
    from hanlin.core import lineage

    checked = lineage.check(artefact)
    if is_json:
        click.echo(json.dumps(lineage.as_object(checked), ensure_ascii=False, indent=2))
    else:
        _draw(checked)
    changed = [one for one in checked if one.standing == "changed"]
    for one in changed:
        what = f"{one.lineage.name} is not what its lineage says: {', '.join(one.changed[:5])}"
        click.echo(f"{what}\n  fix: put the original back, or make what comes from it again", err=True)
    ctx.exit(2 if changed else 0)


def _draw(checked) -> None:
    from rich.text import Text
    from rich.tree import Tree

    from hanlin.cli.page import page

    marks = {
        "unchanged": ("✓", "green"),
        "changed": ("✗", "bold red"),
        "gone": ("○", "yellow"),
        "unknown": ("·", "dim"),
    }

    def label(one) -> Text:
        mark, style = marks[one.standing]
        told = one.lineage
        text = Text(f"{mark} ", style=style).append(told.name, style="bold")
        text.append(f"  {told.kind}" if told.kind else "").append(f"  {told.hash[:12]}", style="dim")
        text.append(f"  {one.standing}", style=style)
        for name, value in told.facts.items():
            if value not in (None, ""):
                text.append(f"\n  {name} = {value}", style="dim")
        for line in one.changed:
            text.append(f"\n  {line}", style="red")
        return text

    def grown(tree: Tree, one) -> Tree:
        for parent in one.parents:
            grown(tree.add(label(parent)), parent)
        return tree

    page().print(grown(Tree(label(checked)), checked))
