"""The fairness of a corpus run's filters, and the bias of what it keeps, as the terminal shows them."""

import click

from hanlin.cli.visible import harmless
from hanlin.data.corpus.fairness import Fairness


def told(found: Fairness) -> None:
    """Removal by group, what swaps change, what stands nearer to whom."""
    click.echo(f"{found.documents:,} documents looked at; intervals are of 95 %, * marks what stands out\n")
    for one in found.removal:
        mark = "*" if one.stands_out else " "
        share = f"{one.rate:6.1%} dropped ({one.low:.1%} to {one.high:.1%}) of {one.documents:,}"
        click.echo(f"{mark} {one.by:9}{harmless(one.name):28}{share}")
    click.echo("\nwords of one group in place of another's:")
    for swap in found.swaps:
        changed = f"{swap.goes} would go and {swap.comes} come, of {swap.documents:,} (at most {swap.high:.1%} change)"
        click.echo(f"  {swap.name:12}{changed}")
        for example in swap.examples:
            click.echo(f"    {harmless(example)}")
    click.echo("\nnearer to the first than to the second (log odds above 0):")
    for it in found.associations:
        mark = "*" if it.low * it.high > 0 else " "
        click.echo(f"{mark} {it.name:32}{it.attribute:10}{it.log_odds:+.2f} ({it.low:+.2f} to {it.high:+.2f})")
