"""In compat mode our filters say of real documents what datatrove says, and for the same reason."""

import random
from pathlib import Path

import pytest

from hanlin.data.document import Document
from hanlin.data.filters import c4, fineweb, quality, ratios, repetition
from hanlin.data.step import Step
from hanlin.data.view import View

pytest.importorskip("datatrove")

QUALITY = {
    "gopher_short_doc": "min_words",
    "gopher_long_doc": "max_words",
    "gopher_below_avg_threshold": "min_mean_word",
    "gopher_above_avg_threshold": "max_mean_word",
    "gopher_too_many_hashes": "max_hashes",
    "gopher_too_many_ellipsis": "max_ellipses",
    "gopher_too_many_bullets": "max_bullet_lines",
    "gopher_too_many_end_ellipsis": "max_ellipsis_lines",
    "gopher_below_alpha_threshold": "min_alphabetic",
    "gopher_enough_stop_words": "min_stop_words",
}
REPETITION = {
    "empty": "min_characters",
    "dup_para_frac": "max_paragraphs",
    "dup_para_char_frac": "max_paragraph_characters",
    "dup_line_frac": "max_lines",
    "dup_line_char_frac": "max_line_characters",
    **{f"top_{n}_gram": f"max_top_{n}" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"max_copied_{n}" for n in range(5, 11)},
}
C4 = {"lorem_ipsum": "max_lorem_ipsum", "curly_bracket": "max_braces", "too_few_sentences": "min_sentences"}
FINEWEB = {
    "empty": "min_lines",
    "line_punct_ratio": "min_line_ends",
    "short_line_ratio": "max_short_lines",
    "char_dup_ratio": "max_copied",
    "list_ratio": "max_lines_to_words",
}
NEWS = "今天上午，我们在北京参加了一个会议。会上大家谈到了农村学校的老师和孩子们的生活，也谈到了将来的打算。\n"
CLEAN = NEWS + "春天来了，院子里的桃树开了花。孩子们放学以后就在树下写字，老人坐在门口晒太阳，说起从前的事情。"


@pytest.fixture(scope="module")
def documents() -> list[str]:
    """Pages, licences, program texts: what lies about on this machine, some of it cut up and said twice."""
    root = Path(__file__).parents[3]
    import email

    library = sorted(Path(email.__file__).parent.parent.glob("*.py"))[:120]
    found = [path.read_text("utf-8", "replace") for path in [*sorted(root.glob("docs/**/*.md")), *library]]
    draw = random.Random(0)
    pieces = [text[(at := draw.randrange(max(1, len(text) - 3000))) : at + draw.randrange(100, 3000)] for text in found]
    said_twice = [piece[:400] * draw.randrange(2, 5) for piece in pieces[:40]]
    lists = ["\n".join(f"- {line}" for line in piece.splitlines()) for piece in pieces[40:60]]
    return [*pieces, *said_twice, *lists, "Wait... what…\n" * 30, "# # # a b the to", " "]


def verdicts(theirs: object, documents: list[str]) -> list[str | None]:
    from datatrove.data import Document as Their

    found = []
    for text in documents:
        said = theirs.filter(Their(text=text, id=""))  # pyright: ignore[reportAttributeAccessIssue]
        found.append(None if said is True else said[1])
    return found


def ours(step: Step, documents: list[str]) -> list[str | None]:
    return [step(Document(text, language="en")) for text in documents]


def test_quality_equals_datatroves(documents: list[str]) -> None:
    from datatrove.pipeline.filters.gopher_quality_filter import GopherQualityFilter

    expected = [None if it is None else QUALITY[it] for it in verdicts(GopherQualityFilter(), documents[:-1])]
    assert ours(quality.Step(compat="datatrove"), documents[:-1]) == expected
    assert len(set(expected)) > 4


def test_repetition_equals_datatroves(documents: list[str]) -> None:
    from datatrove.pipeline.filters.gopher_repetition_filter import GopherRepetitionFilter

    # a blank text breaks datatrove's filter where it has no words
    expected = [None if it is None else REPETITION[it] for it in verdicts(GopherRepetitionFilter(), documents[:-1])]
    assert ours(repetition.Step(compat="datatrove"), documents[:-1]) == expected
    assert len(set(expected)) > 5


def test_counts_without_compat_are_those_of_a_slow_way(documents: list[str]) -> None:
    for text in documents[:60]:
        view = View(text)
        words, tags = list(view.wordy), repetition.Step().measure(view)
        for n in (2, 3, 4):
            grams = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
            best = max((grams.count(gram) for gram in set(grams)), default=0)
            sizes = [sum(map(len, gram)) + n - 1 for gram in grams if grams.count(gram) == best]
            assert round(float(tags[f"top_{n}"]) * len(text)) == (sizes[0] * best if best > 1 else 0)


def test_clean_chinese_stays_and_junk_goes() -> None:
    clean = "春天来了，院子里的桃树开了花。孩子们放学以后就在树下写字，老人坐在门口晒太阳，说起从前的事情。" * 1
    clean += "邻居家的猫也来了，它不怕人，在石阶上睡了一个下午。等到天黑，大家才各自回家，约好明天再一起去河边。"
    junk = ["点击下载 " * 80, "￥￥%%……&&**##" * 40, "1 2 3 4 5 6 7 8 9 0 " * 30, "哈" * 500]
    for step in (quality.Step(), repetition.Step()):
        assert step(Document(clean)) is None
    for text in junk:
        assert quality.Step()(Document(text)) or repetition.Step()(Document(text)), text[:20]


def test_c4_equals_datatroves_and_leaves_the_same_lines(documents: list[str]) -> None:
    from datatrove.data import Document as Their
    from datatrove.pipeline.filters.c4_filters import C4QualityFilter

    filter_of_theirs, step, seen = C4QualityFilter(), c4.Step(compat="datatrove"), set()
    for text in [
        *documents,
        "One. Two is here. Three is it. Lorem ipsum is four. { five. Six is six.",
        "a b c.[1]\n" * 6,
    ]:
        doc = Their(text=text, id="")
        said = filter_of_theirs.filter(doc)
        reason = None if said is True else C4[said[1]]  # pyright: ignore[reportIndexIssue]
        seen.add(reason)
        assert step(Document(text, language="en")) == reason
        if reason is None:
            assert (step.tag(View(text, "en"))[1] or text) == doc.text
    assert seen == {None, *C4.values()}


def test_fineweb_equals_datatroves(documents: list[str]) -> None:
    from datatrove.pipeline.filters.fineweb_quality_filter import FineWebQualityFilter

    texts = [
        *documents,
        "word\n" * 3 + "one and two.\n",
        "A line.\n" + "\n" * 40 + "Another one that is longer than thirty.",
    ]
    expected = [None if it is None else FINEWEB[it] for it in verdicts(FineWebQualityFilter(), texts)]
    assert ours(fineweb.Step(compat="datatrove"), texts) == expected
    assert set(expected) == {None, *FINEWEB.values()}


def test_ratios_are_those_of_a_slow_way(documents: list[str]) -> None:
    for text in documents[:60]:
        solid = [mark for mark in text if not mark.isspace()]
        tags = ratios.Step().measure(View(text))
        assert tags["letters"] == pytest.approx(sum(map(str.isalpha, solid)) / len(solid), abs=0.01)
        assert tags["digits"] == pytest.approx(sum(map(str.isdecimal, solid)) / len(solid))
        assert tags["longest_line"] == max(map(len, text.split("\n")))


def test_clean_chinese_passes_what_junk_does_not() -> None:
    steps = (c4.Step(), fineweb.Step(), ratios.Step())
    for step in steps:
        assert step(Document(CLEAN)) is None
    for junk in (
        "首页\n新闻\n体育\n财经\n联系我们\n返回顶部\n" * 5,
        "13800138000 010-88886666 2026-01-01 12:00 " * 20,
        "【【★★◆◆▲▲】】☆☆■■" * 30,
        "哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈" * 10,
        "http://www.example.com/a/b/c?d=1 点击下载 http://www.example.com/x/y/z " * 8,
    ):
        assert [step(Document(junk)) for step in steps] != [None] * 3, junk[:20]


def test_c4_takes_chinese_menus_out_and_leaves_the_text() -> None:
    page = f"首页 上一篇 下一篇\n{CLEAN}[1]\n点击下载本站的客户端，扫码关注我们。\n版权所有 2026"
    assert c4.Step().tag(View(page))[1] == CLEAN
