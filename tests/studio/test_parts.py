"""What the pages are made of, without a browser."""

import math

import numpy as np
import pytest

from hanlin.core.errors import DataError
from hanlin.infer.sampling import Sampling
from hanlin.studio import markdown
from hanlin.studio.chat.panel import LEFT_OUT
from hanlin.studio.chat.tree import Conversation, from_plain
from hanlin.studio.login import safe
from hanlin.studio.play.mapping import flat
from hanlin.studio.training.form import _found
from hanlin.studio.words import sampling, training
from hanlin.studio.words.word import preferred


def test_markdown_lets_no_html_script_or_picture_through() -> None:
    text = "<script>x</script> <img src=x onerror=y> [a](javascript:alert(1)) ![p](http://evil.example/p.png)\n```\n<b>\n```"
    made = markdown.rendered(text)
    assert "<script" not in made and "<img" not in made and 'href="javascript' not in made
    assert "&lt;b&gt;" in made and 'href="http://evil.example/p.png"' in made


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil", "javascript:x", "", "/a\nb", "/login"]
)
def test_after_signing_in_one_stays_on_this_server(target: str) -> None:
    assert safe(target) == "/"
    assert safe("/models?x=1") == "/models?x=1"


def test_the_language_is_the_browsers_first_that_we_speak() -> None:
    assert preferred("de, zh-TW;q=0.8, en;q=0.7") == "zh"
    assert preferred("en-GB,zh;q=0.5") == "en"
    assert preferred("zh;q=0.2, en;q=0.9") == "en"
    assert preferred("") == preferred("fr") == "en"


def test_every_setting_of_sampling_and_of_the_form_has_help_in_chinese() -> None:
    shown = set(Sampling.model_fields) - set(LEFT_OUT)
    assert shown == set(sampling.NAMES) == set(sampling.CHINESE)
    assert all(_found(key)[1].description for key in training.CHINESE)


def test_an_edited_conversation_keeps_both_branches_and_survives_its_file() -> None:
    talk = Conversation()
    first = talk.add("user", "one", None)
    talk.add("assistant", "1", first.id, model="a", round="r")
    second = talk.add("user", "two", None)
    left = talk.add("assistant", "2", second.id, model="a", round="s", tokens=[(5, "2", -0.1, ((5, "2", -0.1),))])
    talk.add("assistant", "zwei", second.id, model="b", round="s")
    assert [one.content for one in talk.path()] == ["two", "zwei"]
    assert [len(branch) for branch in talk.branches(left)] == [2]
    assert len(talk.branches(first)) == 2
    talk.show(first)
    assert [one.content for one in talk.path()] == ["one", "1"]
    again = from_plain(talk.plain())
    assert again == talk
    broken = talk.plain()
    broken["messages"][0]["parent"] = broken["messages"][1]["id"]
    with pytest.raises(DataError, match="follows none"):
        from_plain(broken)


def test_the_map_shows_the_two_principal_components() -> None:
    vectors = np.random.default_rng(3).normal(size=(9, 5)).astype(np.float32)
    places, share = flat(vectors)
    spread = np.linalg.eigvalsh(np.cov(vectors.T))[::-1]
    assert share == pytest.approx(spread[:2].sum() / spread.sum(), rel=1e-5)
    assert np.allclose(places.var(0, ddof=1), spread[:2], rtol=1e-4) and math.isfinite(share)
