"""The tour fetches its model: a name in, a folder or file whose content was checked out."""

from collections.abc import Iterator

from hanlin.cli.models import fetched
from hanlin.cli.tour.guide import Guide
from hanlin.cli.tour.notes import Figures, Line, Note
from hanlin.model.store import DEFAULT

TITLE = {"en": "Fetch a model", "zh": "取得模型"}
WHY = {
    "en": "A model is a few files. They are checked byte by byte and kept, so this happens once.",
    "zh": "模型就是几个文件。逐字节校验后保存下来，所以只需取一次。",
}
HERE = {"en": "{name} is here: {megabytes:.0f} MB.", "zh": "{name} 已就绪：{megabytes:.0f} MB。"}


def run(guide: Guide) -> Iterator[Note]:
    """Fetch the model unless it is here, and say where it lies."""
    name = guide.settings.model.use or DEFAULT
    path = fetched(name)
    size = sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
    yield Line(guide.say(HERE, name=name, megabytes=size / 1e6))
    yield Line(str(path))
    yield Figures({"model": name, "bytes": size})
