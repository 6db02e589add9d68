"""Files as they come are read row by row; hostile ones are told in two lines that name file and line."""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanlin.core.errors import DataError, HanlinError
from hanlin.data.example import Chat, Labelled, Row, Text
from hanlin.data.read import describe, examples, rows
from hanlin.data.settings import SourceSettings
from hanlin.data.sources import text as plain


def read(path: Path | str, **settings: object) -> list[Row | DataError]:
    return list(rows(SourceSettings.model_validate({"path": str(path), **settings})))


def only_error(path: Path) -> DataError:
    found = read(path)
    assert len(found) == 1
    assert isinstance(found[0], DataError)
    return found[0]


RECORDS = [{"text": "one\ntwo", "n": 1}, {"text": "床前明月光", "n": 2}]


def as_jsonl(path: Path) -> Path:
    path.write_text("\n".join(json.dumps(record) for record in RECORDS), "utf-8")
    return path


def as_packed(path: Path) -> Path:
    path.write_bytes(gzip.compress("\n".join(json.dumps(record) for record in RECORDS).encode()))
    return path


def as_list(path: Path) -> Path:
    path.write_text(json.dumps(RECORDS, indent=2), "utf-8")
    return path


def as_parquet(path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(RECORDS), path)
    return path


def as_csv(path: Path) -> Path:
    path.write_text('text,n\n"one\ntwo",1\n床前明月光,2\n', "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.jsonl", as_jsonl),
        ("a.jsonl.gz", as_packed),
        ("a.json", as_list),
        ("b.json", as_jsonl),
        ("a.parquet", as_parquet),
        ("a.csv", as_csv),
    ],
)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str, make: Callable[[Path], Path]) -> None:
    found = read(make(tmp_path / name))
    assert [row.value["text"] for row in found if isinstance(row, Row)] == ["one\ntwo", "床前明月光"]
    assert all(row.file.endswith(name) for row in found if isinstance(row, Row))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_encodings_are_told_apart(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("床前明月光，疑是地上霜。\r\n举头望明月，低头思故乡。\r\n".encode(encoding))
    (row,) = read(path)
    assert isinstance(row, Row)
    assert row.value["text"] == "床前明月光，疑是地上霜。\n举头望明月，低头思故乡。\n"


def test_mixed_encodings_are_told_with_byte_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("明月\n".encode() * 400_000 + "café\n".encode("latin-1"))
    error = only_error(path)
    assert "line 400001: byte 0xe9 at offset 2,800,003 is not UTF-8" in error.what
    latin = tmp_path / "b.txt"
    latin.write_bytes("un café très chaud, s'il vous plaît".encode("latin-1"))
    assert "line 1: byte 0xe9" in only_error(latin).what


HOSTILE: dict[str, tuple[str, bytes, str]] = {
    "empty text": ("a.txt", b"", "line 1: the file is empty"),
    "blank text": ("a.txt", b" \n\n ", "line 1: the file is empty"),
    "empty table": ("a.csv", b"", "line 1: the file is empty"),
    "broken json": ("a.jsonl", b'{"text": "a"', "line 1: "),
    "broken list": ("a.json", b'[{"text": "a"},\n{"text": ]', "line 2: "),
    "NUL bytes": ("a.txt", b"one\ntwo\0\n", "line 2: the line holds a NUL"),
    "NUL in json": ("a.jsonl", b'{"text": "a\0"}', "line 1: the line holds a NUL"),
    "an image": ("a.txt", b"\x89PNG\r\n\x1a\n" + bytes(50), "line 1: the file is a PNG image"),
    "cut gzip": ("a.txt.gz", gzip.compress(bytes(range(65, 90)) * 999)[:40], "line 1: the file cannot be read"),
    "no parquet": ("a.parquet", b"PAR1 no", "line 1: the file is no Parquet"),
    "short row": ("a.csv", b"text,label\nfine\n", "line 2: the row has 1 fields"),
    "a number": ("a.jsonl", b"3\n", "line 1: "),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_told_in_two_lines(tmp_path: Path, case: str) -> None:
    name, content, message = HOSTILE[case]
    (tmp_path / name).write_bytes(content)
    error = only_error(tmp_path / name)
    assert f"{name}, {message}" in error.what
    assert len(str(error).splitlines()) == 2


def test_one_bad_line_does_not_hide_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{oops\n{"text": "b"}\n', "utf-8")
    good, bad, after = read(path)
    assert isinstance(good, Row)
    assert isinstance(bad, DataError)
    assert isinstance(after, Row)
    assert "a.jsonl, line 2" in bad.what
    assert (after.value, after.line) == ({"text": "b"}, 3)


def test_a_directory_of_images_is_told(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match=r"no file that can be read: 3 × \.png") as told:
        read(tmp_path)
    assert ".jsonl" in told.value.fix


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.txt.gz", "a.csv.gz"])
def test_a_line_of_a_gigabyte_is_refused_with_its_size_and_without_the_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    member = gzip.compress(b"x" * (1 << 24))
    path.write_bytes(gzip.compress(b"text\n") + member * 5)  # 80 MB of 80 kB: the limit is 64
    tracemalloc.start()
    try:
        errors = [row for row in read(path) if isinstance(row, DataError)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert f"line 2: the line has {5 << 24:,} characters" in errors[-1].what
    assert peak < 3 * (1 << 26)


def test_a_labelled_row_with_nan_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": 0.5}\n{"text": "b", "label": NaN}\n', "utf-8")
    found = list(examples(SourceSettings(path=str(path)), (Labelled,)))
    assert isinstance(found[1], DataError)
    assert "a.jsonl, line 2: label is nan, no label" in found[1].what


def test_a_huge_text_becomes_several_cut_between_paragraphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "LONGEST_TEXT", 1000)
    whole = "\n\n".join(f"Paragraph {number}. " + "word " * 20 for number in range(60))
    (tmp_path / "a.md").write_text(whole, "utf-8")
    found = [row for row in read(tmp_path) if isinstance(row, Row)]
    assert "".join(row.value["text"] for row in found) == whole
    assert len(found) > 6
    assert all(row.value["text"].startswith("Paragraph") and len(row.value["text"]) <= 1000 for row in found)
    starts = [whole[: whole.index(row.value["text"])].count("\n") + 1 for row in found]
    assert [row.line for row in found] == starts


@pytest.mark.parametrize(("split", "count"), [("file", 1), ("line", 4), ("blank", 2)])
def test_a_text_file_is_one_text_or_many(tmp_path: Path, split: str, count: int) -> None:
    (tmp_path / "a.txt").write_text("a\nb\n\n\nc\nd\n", "utf-8")
    assert len(read(tmp_path / "a.txt", split=split)) == count


def test_folders_and_patterns_are_read_in_sorted_order(tmp_path: Path) -> None:
    for name in ("b/2.txt", "a/1.txt", "c.jpg", "b/1.txt", ".hidden/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name, "utf-8")
    texts = [row.value["text"] for row in read(tmp_path) if isinstance(row, Row)]
    assert texts == ["a/1.txt", "b/1.txt", "b/2.txt"]
    assert [row.value["text"] for row in read(f"{tmp_path}/*/1.txt") if isinstance(row, Row)] == ["a/1.txt", "b/1.txt"]
    with pytest.raises(DataError, match="there is no file"):
        read(tmp_path / "none.txt")


def test_labels_may_be_the_names_of_files(tmp_path: Path) -> None:
    for name in ("pos", "neg"):
        (tmp_path / f"{name}.txt").write_text("好\n坏\n", "utf-8")
    source = SourceSettings(path=str(tmp_path), split="line", label_from="file", labels={"pos": "positive"})
    found = [read.example for read in examples(source, (Labelled,)) if not isinstance(read, DataError)]
    assert found == [Labelled(text, label) for label in ("neg", "positive") for text in "好坏"]


def test_columns_may_be_put_together_by_patterns(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"title": "静夜思", "paragraphs": ["床前明月光", "疑是地上霜"]}]), "utf-8")
    source = SourceSettings(path=str(path), text="{title}\n{paragraphs}")
    assert describe(source, (Text,)).examples[0].example == Text("静夜思\n床前明月光\n疑是地上霜")
    wrong = SourceSettings(path=str(path), text="{name}")
    with pytest.raises(DataError, match="no column 'name'"):
        describe(wrong, (Text,))


def test_what_is_found_is_described_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"instruction": "Hi", "output": "Hello", "id": 1}\n' * 5, "utf-8")
    found = describe(SourceSettings(path=str(path)), (Chat,))
    assert (found.format, found.columns, len(found.examples)) == ("alpaca", ("instruction", "output", "id"), 3)
    assert "instruction" in found.reason
    with pytest.raises(HanlinError, match="no labelled can be made of the columns instruction, output, id"):
        describe(SourceSettings(path=str(path)), (Labelled,))
    with pytest.raises(HanlinError, match="gives no chat"):
        describe(SourceSettings(path=str(path), format="text"), (Chat,))
