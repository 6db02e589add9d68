"""The tour takes the tiny model along: one file that runs everywhere, and the proof that it is the same model."""

from collections.abc import Iterator

from hanlin.cli.tour.guide import Guide
from hanlin.cli.tour.lesson import OPENING, corpus, folder
from hanlin.cli.tour.notes import Figures, Line, Note, Piece, Table
from hanlin.core.errors import StoreError
from hanlin.infer.model import load
from hanlin.train.export.certificate import Certificate
from hanlin.train.export.export import export

TITLE = {"en": "Take it along", "zh": "带走它"}
WHY = {
    "en": "A model that left its workshop may answer differently unnoticed. So the file is read again and compared.",
    "zh": "模型离开作坊以后，回答可能悄悄变样。所以把写出的文件重新读入，逐项比较。",
}
PAPER = {
    "en": "{what}: the same on {cases} cases.",
    "zh": "{what}：{cases} 个例子全部相同。",
}
PAPERS = {
    "en": {"chat template": "Chat template", "tokenizer": "Tokenizer"},
    "zh": {"chat template": "对话模板", "tokenizer": "分词器"},
}
COLUMNS = {
    "en": "form|weights|largest logit difference|mean KL, nats|perplexity",
    "zh": "形式|权重|logit 最大差|平均 KL（奈特）|困惑度变化",
}
FORMS = {"en": {}, "zh": {"exported": "导出", "quantised": "量化", "merged": "合并"}}
FILE = {
    "en": "{path}: {kilobytes:,.0f} kB, compared on {tokens:,} tokens it was not trained on. Read again, it writes:",
    "zh": "{path}：{kilobytes:,.0f} kB，在 {tokens:,} 个没训练过的词元上比较过。重新读入后，它写道：",
}

STRETCH = 250
"""Characters of held-out text in each row that is compared."""


def run(guide: Guide) -> Iterator[Note]:
    """The model of the stage pretrain as a GGUF file of 8 bits a weight.

    Raises:
        StoreError: that stage was not taken.
    """
    trained, to = folder(guide, "pretrain"), folder(guide, "tiny.gguf")
    if not trained.is_dir():
        raise StoreError(f"{trained} is not there", "take the stage pretrain before export")
    held = corpus(guide, is_held=True).read_text("utf-8")
    *_, made = export(trained, to, "Q8_0", texts=[held[at : at + STRETCH] for at in range(0, 16 * STRETCH, STRETCH)])
    assert isinstance(made, Certificate), "the certificate comes last"
    names = PAPERS[guide.lang]
    for paper in made.papers:
        yield Line(guide.say(PAPER, what=names[paper.what], cases=paper.cases))
    rows = [
        (
            FORMS[guide.lang].get(stage.name, stage.name),
            stage.kind,
            f"{stage.largest_logit_difference:.2g} / {stage.largest_logit:.3g}",
            f"{stage.mean_kl:.2g}",
            f"{stage.perplexity_change:+.2%}",
        )
        for stage in made.stages
    ]
    yield Table(tuple(guide.say(COLUMNS).split("|")), tuple(rows))
    yield Line(guide.say(FILE, path=to, kilobytes=to.stat().st_size / 1e3, tokens=made.tokens))
    opening = OPENING[guide.lang]
    yield Piece(opening)
    for event in load(to).generate(opening, max_tokens=40, temperature=0.8, top_k=50, seed=guide.settings.seed):
        yield Piece(event.text)
    last = made.stages[-1]
    yield Figures({"mean_kl": last.mean_kl, "perplexity_change": round(last.perplexity_change, 6), "hash": made.hash})
