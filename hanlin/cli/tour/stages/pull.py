"""The tour fetches its model: name in, a folder or file whose content was checked out."""

from collections.abc import Iterator

from hanlin.cli.models import fetched
from hanlin.cli.tour.guide import Guide
from hanlin.cli.tour.notes import Figures, Line, Note

TITLE = {"en": "Fetch a model", "zh": "取得模型"}
WHY = {
    "en": "A model is a few files. They are checked byte by byte and kept, so that this happens once.",
    "zh": "模型就是几个文件。逐字节校验之后保存下来，所以只需取一次。",
}
HERE = {
    "en": "{name} is here: {megabytes:.0f} MB in {path}",
    "zh": "{name} 已就绪：{megabytes:.0f} MB，位于 {path}",
}


def run(guide: Guide) -> Iterator[Note | Guide]:
    """Fetch the model unless it is here, and say where it lies."""
