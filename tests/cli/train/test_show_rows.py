"""Rows are legible with colours and without, and as a page that needs nothing else and lets no text through as HTML."""

import io
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from hanlin.cli.train.show import report, show
from hanlin.data.batch import Marked, collate
from hanlin.text.tokenizer import Tokenizer
from hanlin.train.gate.report import Facts, Refusal, Report
from hanlin.train.look import look
from infer.tiny import tokenizer

tiny = cache(tokenizer)


def marked(tokenizer: Tokenizer, seen: str, graded: str) -> Marked:
    first, second = (tokenizer.encode(text, parse_special=False) for text in (seen, graded))
    ids = [*first, *second, tokenizer.eos[0]]
    return Marked(np.array(ids, np.int32), np.arange(len(ids)) >= len(first))


def console(colours: bool) -> Console:
    system = "standard" if colours else None
    return Console(file=io.StringIO(), width=100, color_system=system, force_terminal=colours, highlight=False)


def printed(to: Console) -> str:
    assert isinstance(to.file, io.StringIO)
    return to.file.getvalue()


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")


def test_without_colours_brackets_mark_what_is_graded() -> None:
    to = console(False)
    row = [marked(tiny(), "xy\n", " uv"), marked(tiny(), "p", "r")]
    batch = collate([row], shifts=True, pad=tiny().eos[0], width=12)
    show([batch], tiny(), 5, console=to)
    said = printed(to)
    assert "\x1b" not in said
    assert "row 1 · 6 of 10 tokens graded (60.0%)" in said
    assert "xy↵\n⟦␣uv<end>⟧\n── text 2 ──\np⟦r<end>⟧░░ padding × 4" in said


def test_with_colours_no_brackets_are_needed() -> None:
    to = console(True)
    show([marked(tiny(), "xy", "uv")], tiny(), 1, console=to)
    said = printed(to)
    assert "⟦" not in said and re.search(r"\x1b\[[\d;]*42m\s*uv", said)


def test_texts_that_are_judged_as_a_whole_have_no_graded_tokens_and_name_their_class(tmp_path: Path) -> None:
    text = replace(marked(tiny(), "x", "uv"), graded=None, labels=(1.0,))
    names, page = ("bad", "good"), tmp_path / "a.html"
    for one, name in ((text, "good"), (replace(text, labels=(1.0, 1.0)), "bad, good")):
        to, batch = console(False), collate([[one]], shifts=False, pad=0)
        show([batch], tiny(), 1, html=page, shifts=False, judged="whole", classes=names, console=to)
        assert "row 1 · 4 tokens, judged as a whole by what the model makes of the last one" in printed(to)
        assert f" · label {name}\n" in printed(to)
        assert "⟦" not in printed(to) and "xuv<end>" in printed(to)
        source = page.read_text("utf-8")
        assert 'class="graded' not in source and "整篇评判" in source


def test_of_a_question_the_answers_are_judged_and_no_token_of_it() -> None:
    to = console(False)
    show([replace(marked(tiny(), "x", "u"), graded=None)], tiny(), 1, judged="answers", console=to)
    assert "3 tokens, only read: the answers that the model will give are judged" in printed(to)
    assert "⟦" not in printed(to)


def test_as_many_rows_are_shown_as_are_asked_for() -> None:
    to = console(False)
    rows = [[marked(tiny(), "x", "u")] for _ in range(3)]
    show([collate(rows, shifts=True, pad=0)] * 2, tiny(), 4, console=to)
    assert "row 4" in printed(to) and "row 5" not in printed(to)


def test_both_ends_of_a_preference_are_one_row() -> None:
    to, made = console(False), tiny()
    pair = Marked(*(lambda it: (it.ids, it.graded))(marked(made, "x", "good")), rejected=marked(made, "x", "bad"))
    show([pair], made, 1, console=to)
    assert "better" in printed(to) and "⟦good<end>⟧" in printed(to)
    assert "worse" in printed(to) and "⟦bad<end>⟧" in printed(to)


def test_a_text_cannot_steer_the_terminal() -> None:
    to = console(False)
    show([marked(tiny(), "a\x1b[31mb\x07", "c\u202ed")], tiny(), 1, console=to)
    assert not re.search(r"[\x1b\x07\u202e]", printed(to)) and "‹U+001B›" in printed(to)


class Page(HTMLParser):
    """Collects tags, links, and the text of the rows."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_self_contained_bilingual_and_escapes_all_text(tmp_path: Path) -> None:
    made, nasty = tiny(), "<script>alert('x')</script> & \"q\" {{ 7 * 7 }}"
    batch = collate([[marked(made, nasty, "答<b>案</b>")]], shifts=True, pad=made.eos[0], width=90)
    show([batch], made, 1, html=tmp_path / "rows.html", console=console(False))
    page, source = Page(), (tmp_path / "rows.html").read_text("utf-8")
    page.feed(source)
    assert "script" not in page.tags and page.links == [] and "url(" not in source and "http" not in source
    assert nasty in page.text and "答<b>案</b>" in page.text
    assert "prefers-color-scheme: dark" in source
    assert any("graded" in text for text in page.text) and any("计分" in text for text in page.text)
    assert 'class="graded special"' in source and 'class="padding"' in source


def test_the_chinese_speak_of_rows_in_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    to = console(False)
    show([marked(tiny(), "x", "u")], tiny(), 1, console=to)
    assert "第 1 行" in printed(to) and "截断" in printed(to)


def test_a_report_shows_facts_notices_and_the_example_of_each_refusal() -> None:
    facts = Facts(3, 99, 50, 0, 0, 0.25, 3, 1, 0.97, ())
    sample = tuple(look(marked(tiny(), "xy", "uv"), tiny(), most=3))
    to = console(False)
    report(Report(facts, ("be\x1bware",), (Refusal("cut", "too long", "shorten", sample),)), console=to)
    said = printed(to)
    assert "3 examples, 99 tokens" in said and "25.0% of the tokens, 3 answers, 1 cut" in said
    assert "notice: be‹U+001B›ware" in said and "xy⟦u⟧✂v<end>✂" in said


def test_the_facts_are_told_in_chinese_with_the_same_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Facts(3, 99, 50, 2, 40, 0.25, 3, 1, 0.97, tuple((f"c{place}", 7, 1) for place in range(13)))
    found = Report(facts, (), ())
    english, chinese = found.lines(), found.lines("zh")
    assert [re.findall(r"[\d.,]*\d", line) for line in english] == [re.findall(r"[\d.,]*\d", line) for line in chinese]
    assert not re.search("[a-bd-z]", "".join(chinese))  # but for the names of the classes
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    report(found, console=(to := console(False)))
    assert "训练  3 条，99 个词元，最长一条 50 个" in printed(to)
