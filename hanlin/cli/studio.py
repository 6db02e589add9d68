"""An application in; the same with the studio, which is given what it needs of this room."""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI
from rich.console import Console


def open_studio(app: FastAPI) -> None:
    """Attach it."""
    from hanlin.cli.commands.doctor import examine
    from hanlin.cli.show.facts import gather
    from hanlin.studio.attach import attach
    from hanlin.studio.tools import Tools

    verb = (sys.executable, "-c", "from hanlin.cli.main import main; main()")
    attach(app, Tools(anatomy=gather, doctor=lambda measures: examine(True, not measures), verb=verb, rows=_rows))


def _rows(settings: Any, count: int) -> str:
    """What `hanlin train RUN --show N --html` writes."""
    from hanlin.cli.train.rows import show_rows

    with TemporaryDirectory(prefix="hanlin-") as scratch:
        page = Path(scratch) / "rows.html"
        with Path(os.devnull).open("w") as nowhere:
            show_rows(settings, count, page, Console(file=nowhere))
        return page.read_text("utf-8")
