"""The house's looks for pictures: an empty canvas, and the SVG text of what was drawn on it. matplotlib draws."""

import io
import warnings
from typing import Any

INK, SEAL = "#1d2430", "#a63a2b"


def canvas(height: float) -> Any:
    """An empty figure of the house's looks, and its axes; `height` in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def svg(figure: Any) -> str:
    """A figure as an SVG element whose words stay words: the reader's own fonts draw them, Chinese too."""
    import matplotlib

    sink = io.StringIO()
    # Drawn by the reader's own fonts: that ours lack a character is then no loss worth a warning.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hanlin"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(sink, format="svg", metadata={"Date": None})
    return sink.getvalue()[sink.getvalue().index("<svg") :]
