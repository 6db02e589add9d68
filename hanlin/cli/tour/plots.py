"""The tour's pictures, as SVG whose words stay words: the reader's own fonts draw them, Chinese too."""

from collections.abc import Sequence

from hanlin.cli.plot import drawn
from hanlin.cli.tour.notes import Plot
from hanlin.core.picture import INK, SEAL, canvas, svg


def bars(labels: Sequence[str], shares: Sequence[float], title: str) -> Plot:
    """Horizontal bars, the largest on top; `shares` lie between 0 and 1."""
    alt = f"{title}: " + ", ".join(f"{label} {share:.1%}" for label, share in zip(labels, shares, strict=True))
    width = max(len(label) for label in labels)
    lines = (
        f"{label:<{width}}  {share:6.1%}  {'█' * round(60 * share)}"
        for label, share in zip(labels, shares, strict=True)
    )
    return Plot(svg(drawn(labels, shares, title)), alt, tuple(lines))


def line(values: Sequence[float], title: str, across: str, up: str) -> Plot:
    """A line over positions 0, 1, 2 …"""
    figure, axes = canvas(height=2.6)
    axes.fill_between(range(len(values)), values, color=SEAL, alpha=0.15, linewidth=0)
    axes.plot(range(len(values)), values, color=SEAL, linewidth=1.2)
    axes.set_xlabel(across, color=INK)
    axes.set_ylabel(up, color=INK)
    axes.set_xlim(0, max(1, len(values) - 1))
    axes.set_ylim(0)
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    return Plot(svg(figure), f"{title}: {up} from {min(values):.2f} to {max(values):.2f} over {len(values)} {across}")
