"""A bar chart as a file: labels and shares in, a picture out, Chinese labels included where a font has them.

matplotlib's own font lacks Chinese, Japanese, Korean and most emoji. Each label's characters are looked up in the fonts
of this machine; what none of them has is written as its code point, and said.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from hanlin.core.errors import ConfigError
from hanlin.core.picture import INK, SEAL, canvas
from hanlin.core.run import replacing

KINDS = (".png", ".svg", ".pdf")
PREFERRED = (
    "Noto Sans CJK",
    "Source Han Sans",
    "WenQuanYi",
    "PingFang",
    "Microsoft YaHei",
    "SimHei",
    "Droid Sans Fallback",
)


def check(path: Path) -> None:
    """Refuse a plot that could not be written, before the work is done.

    Raises:
        ConfigError: the file's ending is no kind of picture we draw, or its folder does not exist.
    """
    if path.suffix.lower() not in KINDS:
        raise ConfigError(f"{path} is no kind of picture that can be drawn", f"end it in {', '.join(KINDS)}")
    if not path.parent.is_dir():
        raise ConfigError(f"the folder {path.parent} does not exist", "make it, or name another")


def bars(path: Path, labels: Sequence[str], shares: Sequence[float], title: str) -> None:
    """Horizontal bars with the largest on top; shares lie between 0 and 1. What no font has is said on standard error.

    Raises:
        StoreError: the file cannot be written.
        CapacityError: the disk is full.
    """
    import matplotlib

    families, missing = fonts("".join(labels))
    if missing:
        named = " ".join(sorted(missing)[:8])
        click.echo(
            f"note: no font of this machine has {named}; written as code points. A font such as Noto Sans CJK helps",
            err=True,
        )
    shown = [_spelled(label, missing) for label in labels]
    with matplotlib.rc_context({"font.family": families, "text.usetex": False, "text.parse_math": False}):
        figure = drawn(shown, shares, title)
        with replacing(path) as sink:
            figure.savefig(sink, format=path.suffix[1:].lower(), dpi=144)


def drawn(labels: Sequence[str], shares: Sequence[float], title: str) -> Any:
    """The bars on a canvas, the largest on top."""
    figure, axes = canvas(height=0.34 * len(labels) + 0.9)
    places = range(len(labels))
    axes.barh(places, shares, color=SEAL, height=0.66)
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.set_xlim(0, max(shares) * 1.15)
    for place, share in zip(places, shares, strict=True):
        axes.text(share, place, f" {share:.1%}", va="center", color=INK, fontsize=9)
    axes.xaxis.set_visible(False)
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    return figure


def fonts(text: str) -> tuple[list[str], set[str]]:
    """Font families that together have the characters of a text, matplotlib's own first, and what none of them has."""
    from matplotlib.font_manager import fontManager

    wanted = {character for character in text if not character.isspace()}
    families, files = ["DejaVu Sans"], {}
    for entry in fontManager.ttflist:
        if entry.style == "normal" and entry.weight in (400, "normal", "regular"):
            files.setdefault(entry.name, entry.fname)
    wanted -= _covered("DejaVu Sans", files, wanted)
    for name in _ordered(files) if wanted else ():
        found = _covered(name, files, wanted)
        if found:
            families.append(name)
            wanted -= found
        if not wanted:
            break
    return families, wanted


def _ordered(names: Iterable[str]) -> list[str]:
    """Fonts made for Chinese first, so that they and no symbol font draw it."""
    return sorted(names, key=lambda name: (not name.startswith(PREFERRED), name))


def _covered(name: str, files: dict[str, str], wanted: set[str]) -> set[str]:
    from matplotlib.ft2font import FT2Font

    try:
        codes = FT2Font(files[name]).get_charmap()
    except (KeyError, RuntimeError, OSError):  # a font file that went away or that this library cannot read
        return set()
    return {character for character in wanted if ord(character) in codes}


def _spelled(label: str, missing: set[str]) -> str:
    return "".join(f"[U+{ord(character):04X}]" if character in missing else character for character in label)
