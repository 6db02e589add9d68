"""What was encoded once is found again; what is half there is never taken for whole; a bad row stops or is listed."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hanlin.core.errors import DataError, HanlinError
from hanlin.data.batch import Marked
from hanlin.data.encode import Encode, encoded, encoding, held_out
from hanlin.data.encoded import Encoded, in_memory
from hanlin.data.example import Example, Labelled, Preference, Text
from hanlin.data.settings import DataSettings, SourceSettings
from hanlin.data.stream import Stream


class Marker:
    """Marks texts by their characters, and counts how many it saw."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, examples: Sequence[Example]) -> list[Marked | HanlinError]:
        self.seen += len(examples)
        found: list[Marked | HanlinError] = []
        for example in examples:
            assert isinstance(example, Text)
            if "bad" in example.text:
                found.append(DataError("the text is bad", "make it good"))
            else:
                found.append(Marked(np.array([ord(letter) for letter in example.text], np.int32)))
        return found


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "home"))


def corpus(folder: Path, texts: Sequence[str]) -> SourceSettings:
    folder.mkdir(exist_ok=True)
    path = folder / "a.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts), "utf-8")
    return SourceSettings(path=str(path))


def read(source: SourceSettings, mark: Encode, key: str = "k", **settings: object) -> Encoded:
    return encoded(source, mark, (Text,), key, DataSettings.model_validate({"train": [source], **settings}))


def text(part: Encoded, number: int) -> str:
    return "".join(map(chr, part[number].ids))


TEXTS = [f"text number {number}" for number in range(700)]


def test_the_second_time_comes_from_the_cache_and_any_change_does_not(tmp_path: Path) -> None:
    mark = Marker()
    source = corpus(tmp_path / "in", TEXTS)
    first = read(source, mark)
    again = read(source, mark)
    assert mark.seen == 700
    assert first.hash == again.hash
    assert [text(again, number) for number in range(700)] == TEXTS
    assert again.where(41) == (source.path, 42)
    assert again.bytes == sum(len(one) for one in TEXTS)
    assert read(source, mark, key="other").hash != first.hash
    assert len(read(source, mark, limit=5)) == 5
    changed = corpus(tmp_path / "in", [*TEXTS[:-1], "text number 99x"])
    assert text(read(changed, mark), 699) == "text number 99x"
    assert mark.seen == 700 + 700 + 5 + 700


def test_a_run_that_stops_half_way_leaves_nothing_that_is_taken_for_whole(tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", TEXTS)
    steps = encoding(source, Marker(), (Text,), "k", DataSettings(train=(source,)))
    assert next(steps).examples == 256
    steps.close()
    mark = Marker()
    assert len(read(source, mark)) == mark.seen == 700
    (place,) = [item for item in (tmp_path / "home" / "tokens").iterdir() if item.is_dir()]
    (place / "ids").write_bytes((place / "ids").read_bytes()[:-4])
    again = read(source, mark)
    assert [text(again, number) for number in range(700)] == TEXTS
    assert mark.seen == 1400


def test_leftovers_of_a_killed_run_are_swept_away(tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", TEXTS)
    digest = read(source, Marker()).hash
    tokens = tmp_path / "home" / "tokens"
    left = tokens / f".{digest}.4194999-ab"
    left.mkdir()
    (tokens / digest / "about.json").unlink()
    read(source, Marker())
    assert not left.exists()


def test_a_bad_row_stops_the_run_or_is_listed(tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", ["one", "bad one", "", "two"])
    with pytest.raises(DataError, match=r"a\.jsonl, line 3: text is empty"):
        read(source, Marker())
    kept = read(source, Marker(), skip_bad_rows=True)
    assert [text(kept, number) for number in range(len(kept))] == ["one", "two"]
    assert kept.skipped_count == 2
    assert all(f"a.jsonl, line {line}: " in told for line, told in zip((3, 2), kept.skipped, strict=True))
    with pytest.raises(DataError, match="no example is left") as told:
        read(corpus(tmp_path / "none", ["bad", "bad"]), Marker(), skip_bad_rows=True)
    assert "line 1" in told.value.fix


def test_everything_that_belongs_to_an_example_comes_back(tmp_path: Path) -> None:
    def mark(examples: Sequence[Example]) -> list[Marked | HanlinError]:
        return [
            Marked(
                np.arange(n + 2, dtype=np.int32),
                np.arange(n + 2) > n,
                (float(n), 1.0),
                Marked(np.arange(n + 1, dtype=np.int32)),
                {"answer": str(n)},
            )
            for n in range(len(examples))
        ]

    path = tmp_path / "a.jsonl"
    rows = [{"prompt": "p", "chosen": f"c{number}", "rejected": "r"} for number in range(4)]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    source = SourceSettings(path=str(path))
    part = encoded(source, mark, (Preference,), "k", DataSettings(train=(source,)))
    some = part.view([3, 1])[0]
    assert some.ids.tolist() == [0, 1, 2, 3, 4]
    assert some.graded is not None
    assert some.graded.tolist() == [False] * 4 + [True]
    assert (some.labels, some.facts) == ((3.0, 1.0), {"answer": "3"})
    assert some.rejected is not None
    assert some.rejected.ids.tolist() == [0, 1, 2, 3]


def test_held_out_examples_depend_on_content_alone_and_copies_stay_together(tmp_path: Path) -> None:
    several = read(corpus(tmp_path / "in", [*TEXTS, *TEXTS[:50]]), Marker())
    train, validation = held_out(several, 0.1)
    assert len(train) + len(validation) == 750
    assert 40 < len(validation) < 120
    assert not set(train.hashes.tolist()) & set(validation.hashes.tolist())
    _, turned = held_out(read(corpus(tmp_path / "turned", TEXTS[::-1]), Marker()), 0.1)
    assert {text(turned, at) for at in range(len(turned))} == {text(validation, at) for at in range(len(validation))}
    assert len(held_out(several.view([0, 1]), 0.001)[1]) == 1
    assert len(held_out(several, 0.0)[1]) == 0
    both = several.view([0, 1])
    assert [len(part) for part in held_out(both, 0.9999)] == [1, 1]  # whatever falls, something is trained on
    assert [len(part) for part in held_out(several.view([0, 0]), 0.9999)] == [2, 0]


def test_another_encoding_than_utf_8_is_said(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_bytes("床前明月光，疑是地上霜。".encode("gb18030"))
    (tmp_path / "in" / "b.txt").write_text("举头望明月", "utf-8")
    source = SourceSettings(path=str(tmp_path / "in"))
    for _ in range(2):
        (note,) = read(source, Marker()).notes
        assert note.endswith("a.txt: read as GB18030")


def test_labels_of_reviews_come_through_to_the_batch(tmp_path: Path) -> None:
    def mark(examples: Sequence[Example]) -> list[Marked | HanlinError]:
        kinds = [example.label for example in examples if isinstance(example, Labelled)]
        return [Marked(np.array([7, 8], np.int32), None, (float(kind == "pos"),)) for kind in kinds]

    (tmp_path / "in").mkdir()
    for name in ("pos", "neg"):
        (tmp_path / "in" / f"{name}.txt").write_text("好\n坏\n", "utf-8")
    source = SourceSettings(path=str(tmp_path / "in"), split="line", label_from="file")
    part = encoded(source, mark, (Labelled,), "k", DataSettings(train=(source,)))
    of = Stream([part], [1.0], context=8, rows=4, packing="auto", seed=0, shifts=False, pad=0)
    labels = next(of.batches())[0].labels
    assert labels is not None
    assert sorted(labels[:, 0].tolist()) == [0, 0, 1, 1]


def test_real_text_is_packed_to_99_in_100_positions() -> None:
    pages = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
    paragraphs = [one for page in pages for one in page.read_text("utf-8").split("\n\n") if one.strip()]
    marks = Marker()([Text(one) for one in paragraphs])
    part = in_memory([mark for mark in marks if isinstance(mark, Marked)])
    facts = Stream([part], [1.0], context=512, rows=8, packing="best_fit", seed=0, shifts=True, pad=0).facts()
    assert facts.used_share >= 0.98
