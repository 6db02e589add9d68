"""Planted exam items are found, whole or in part, in both languages, and what is like them is not."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from hanlin.cli.main import hanlin
from hanlin.core.errors import ConfigError
from hanlin.core.settings import parse
from hanlin.data.contamination import Contamination, Item, build, found_in, words
from hanlin.data.corpus.refine import refine
from hanlin.data.corpus.settings import CorpusSettings

ENGLISH = "river stone bread winter window letter garden horse market paper village doctor music".split()
CHINESE = "山里河安静人们带面包走路孩子学校读书老树下喝茶日过慢春天花开雨雪风云"


def items(count: int) -> list[Item]:
    draw = random.Random(0)
    found = []
    for at in range(count):
        if at % 2:
            found.append(Item(f"zh/{at}", "".join(draw.choice(CHINESE) for _ in range(draw.randint(9, 60))) + "？"))
        else:
            found.append(Item(f"en/{at}", " ".join(draw.choice(ENGLISH) for _ in range(draw.randint(9, 60))) + "?"))
    return found


def slow(item: Item, text: str) -> bool:
    """Whether a sequence of the item stands in the text, by looking."""
    inside, known = words(item.text), words(text)
    n = min(13, len(inside))
    grams = {tuple(known[at : at + n]) for at in range(len(known) - n + 1)}
    return any(tuple(inside[at : at + n]) in grams for at in range(len(inside) - n + 1))


def test_hits_are_those_of_a_slow_way(tmp_path: Path) -> None:
    exam, draw = items(60), random.Random(1)
    assert build(tmp_path, exam) == 60
    index = Contamination(tmp_path)
    for _ in range(40):
        chosen = draw.sample(exam, 2)
        begins = [draw.randrange(max(1, len(item.text) // 2)) for item in chosen]
        text = (
            "Before it. " + " 然后。 ".join(item.text[at:] for item, at in zip(chosen, begins, strict=True)) + " After."
        )
        found, share = index.hits(text)
        assert {hit.name for hit in found} == {item.name for item in exam if slow(item, text)}
        assert (share > 0) == any(
            hit.grams and len(words(index.texts[index.names.index(hit.name)])) > 12 for hit in found
        )
    assert index.hits("A text that has nothing of it, and that goes on for more than thirteen words in a row.") == (
        [],
        0.0,
    )


def test_case_marks_and_line_breaks_do_not_hide_an_item(tmp_path: Path) -> None:
    item = Item("en/1", "What is the name of the river that runs through the old town of Prague, and why?")
    build(tmp_path, [item, Item("zh/1", "下列关于春天的说法中，哪一项是正确的并且符合事实？")])
    index = Contamination(tmp_path)
    assert index.hits(item.text.upper().replace(" ", "\n* "))[0][0].share == 1.0
    assert index.hits("题目：下列关于春天的说法中哪一项是正确的 并且符合事实")[0][0].name == "zh/1"


def test_phrases_of_an_exam_and_short_items_are_left_out(tmp_path: Path) -> None:
    phrase = "the following are multiple choice questions with answers about the many things of life"
    exam = [Item(f"x/{at}", f"{phrase} {' '.join(random.Random(at).choices(ENGLISH, k=20))}") for at in range(12)]
    assert build(tmp_path, [*exam, Item("x/short", "2 + 2 = 4")]) == 12
    assert Contamination(tmp_path).hits(phrase)[0] == []
    with pytest.raises(ConfigError, match="no item has 8 words"):
        build(tmp_path, [Item("x/short", "2 + 2 = 4")])


def test_a_run_drops_what_has_exam_items_and_each_item_knows_its_documents(tmp_path: Path) -> None:
    rows = [{"passage": "", "question": f"does the {word} of the village stand near the old stone bridge of the north"}
            for word in ENGLISH[:4]]  # fmt: skip
    exam, index = tmp_path / "boolq.jsonl", tmp_path / "index"
    exam.write_text("".join(json.dumps({**row, "answer": True, "id": at}) + "\n" for at, row in enumerate(rows)))
    said = CliRunner().invoke(
        hanlin, ["data", "contamination", "build", str(index), "boolq", "--data", f"boolq={exam}"]
    )
    assert said.exit_code == 0, said.output
    assert "boolq: 4 items" in said.output
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text(f"Somebody asked: {rows[2]['question']}? Nobody knew.")
    (texts / "b.txt").write_text("Nothing of the kind is said here, only a few words on the weather of that week.")
    plain = {"name": "t", "out": str(tmp_path / "run"), "sources": [{"path": str(texts)}], "workers": 1}
    run = parse(CorpusSettings, {**plain, "steps": [{"use": "contamination", "index": str(index)}]})
    *_, last = refine(run)
    assert [last.decision.names[code] for code in last.decision.reasons] == ["contamination.max_items", "kept"]  # pyright: ignore
    ((name, documents),) = found_in(tmp_path / "run").items()
    assert name == "boolq/2" and documents[0].endswith("a.txt")
    said = CliRunner().invoke(
        hanlin, ["data", "contamination", "show", str(index), "boolq/2", "--run", str(tmp_path / "run")]
    )
    assert "a.txt" in said.output
