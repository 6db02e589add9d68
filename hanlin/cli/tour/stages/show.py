"""The tour opens the model: what it is made of, and what that costs in memory."""

from collections.abc import Iterator

from hanlin.cli.models import fetched
from hanlin.cli.show.facts import gather
from hanlin.cli.tour.guide import Guide
from hanlin.cli.tour.notes import Figures, Line, Note, Table
from hanlin.core.errors import WeightsError
from hanlin.model.store import DEFAULT

TITLE = {"en": "Look inside", "zh": "看看里面"}
WHY = {
    "en": "A model is a long list of numbers, its weights. To make one token, it reads each of them once.",
    "zh": "模型是一长串数字，即权重。每生成一个词元，都要把它们读一遍。",
}
COLUMNS = {"en": "part|weights|share", "zh": "部件|权重数|占比"}
PARTS: dict[str, dict[str, str]] = {
    "en": {"mlp": "MLP"},
    "zh": {
        "embedding": "词嵌入",
        "attention": "注意力",
        "mlp": "前馈网络",
        "experts": "专家",
        "norms": "归一化",
        "head": "输出头",
        "other": "其他",
    },
}
SIZE = {
    "en": "{layers} layers of width {width}, {heads} heads on {kv_heads} key-value heads; {vocabulary:,} tokens.",
    "zh": "{layers} 层，宽度 {width}，{heads} 个注意力头共用 {kv_heads} 个键值头，认识 {vocabulary:,} 个词元。",
}
MEMORY = {
    "en": "In float32 it takes {weights:.0f} MB, and {cache:.0f} MB more for every 1,024 tokens of conversation.",
    "zh": "以 float32 计算占 {weights:.0f} MB，对话每 1,024 个词元另占 {cache:.0f} MB。",
}


def run(guide: Guide) -> Iterator[Note]:
    """Its shape, its parts and its memory, from the file's header alone.

    Raises:
        WeightsError: no family of ours carries it.
    """
    name = guide.settings.model.use or DEFAULT
    facts = gather(name, fetched(name))
    if facts["config"] is None:
        raise WeightsError(facts["problems"][0]["what"], facts["problems"][0]["fix"])
    yield Line(guide.say(SIZE, **facts["config"]))
    total, parts = facts["parameters"]["total"], facts["parameters"]["parts"]
    names = PARTS[guide.lang]
    rows = [(names.get(part) or part, f"{count:,}", f"{count / total:.1%}") for part, count in parts.items()]
    yield Table(tuple(guide.say(COLUMNS).split("|")), tuple(rows))
    memory = facts["memory"]
    weights, cache = memory["weights_bytes"]["float32"], memory["cache_bytes_per_1024_tokens"]["float32"]
    yield Line(guide.say(MEMORY, weights=weights / 1e6, cache=cache / 1e6))
    yield Figures({"parameters": total, "family": facts["family"]})
