"""In compat mode our filters say of real documents what datatrove says, and for the same reason."""

import random
from pathlib import Path

import pytest

from hanlin.data.document import Document
from hanlin.data.filters import quality, repetition
from hanlin.data.step import Step

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
    from hanlin.data.view import View

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
