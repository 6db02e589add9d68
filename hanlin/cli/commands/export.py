"""Export a trained model as a Hugging Face folder or a GGUF file, with a certificate that it is the same."""

import json
from pathlib import Path

import click

from hanlin.cli.arguments import read_text

KINDS = ("F32", "F16", "BF16", "Q8_0", "Q4_0")


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--to", metavar="DIR|FILE.gguf", required=True, type=click.Path(path_type=Path), help="Where to.")
@click.option(
    "--kind",
    type=click.Choice(KINDS, case_sensitive=False),
    help="Kind of weights; Q8_0 and Q4_0 in a GGUF file only  [default: as stored; F16 in a GGUF file]",
)
@click.option(
    "--checkpoint", metavar="NAME", help="latest, best, or step-…  [default: the final model, else the latest]"
)
@click.option(
    "--probe", type=click.Path(path_type=Path), help="A text file to compare on  [default: the validation data]"
)
@click.option("--force", is_flag=True, help="Keep what fails its limits; replace a file that stands there.")
@click.option("--json", "is_json", is_flag=True, help="The certificate as one JSON object.")
def command(
    run: Path, to: Path, kind: str | None, checkpoint: str | None, probe: Path | None, force: bool, is_json: bool
) -> None:
    """Write the model of a run folder, such as out/tiny, so that it runs everywhere; an adapter is merged.

    What was written is read again and compared with what was trained: chat template and tokenizer must be the same to
    the letter, the logits as near as the kind of weights allows. The certificate, the lineage and a model card lie
    beside the weights. A model that fails is not kept, unless by --force.
    """
    from hanlin.cli.models import read_ahead
    from hanlin.train.export.certificate import Certificate
    from hanlin.train.export.export import export

    read_ahead(run / "model")
    texts = [] if probe is None else [block for block in read_text(str(probe)).text.split("\n\n") if block.strip()]
    made = None
    for event in export(run, to, kind, which=checkpoint or "", texts=texts, is_forced=force):  # pyright: ignore
        if isinstance(event, Certificate):
            made = event
        else:
            click.echo(event, err=True)
    assert made is not None, "the certificate comes last"
    if is_json:
        click.echo(json.dumps(made.as_object(), ensure_ascii=False, indent=2))
    else:
        _print(made, to)


def _print(made, to: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    from hanlin.cli.page import page

    console = page()
    for paper in made.papers:
        console.print(Text(f"{paper.what}: {'the same' if paper.is_equal else 'DIFFERENT'} on {paper.cases} cases"))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("form", "weights", "largest logit difference", "mean KL", "perplexity", "change", ""):
        table.add_column(column, no_wrap=True)
    for stage in made.stages:
        difference = f"{stage.largest_logit_difference:.2g} of {stage.largest_logit:.3g}"
        figures = (f"{stage.mean_kl:.2g}", f"{stage.perplexity:.4g}", f"{stage.perplexity_change:+.2%}")
        table.add_row(stage.name, stage.kind, difference, *figures, "FAILED" if stage.failures else "ok")
    console.print(table)
    verdict = "as trained" if made.is_passed else "kept by force"
    console.print(Text(f"{to}: {verdict}, compared on {made.tokens:,} tokens ({made.probe})"))
