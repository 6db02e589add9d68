"""Every artefact names its parents by hash; what changed since is said, and a damaged record is two lines."""

import hashlib
import json
from pathlib import Path

import pytest

from hanlin.core import lineage
from hanlin.core.errors import DataError, StoreError


def chain(folder: Path) -> dict[str, Path]:
    """data → tokenizer → checkpoint → adapter → export, as files and folders."""
    made = {name: folder / name for name in ("data.txt", "tokenizer", "checkpoint", "adapter", "export.gguf")}
    made["data.txt"].write_text("学而时习之", "utf-8")
    for name in ("tokenizer", "checkpoint", "adapter"):
        made[name].mkdir()
        (made[name] / "weights").write_bytes(name.encode())
    made["export.gguf"].write_bytes(b"GGUF")
    lineage.record(made["tokenizer"], "tokenizer", {"corpus": made["data.txt"]}, {"vocabulary": 300})
    parents = {"data.train[0]": made["data.txt"], "tokenizer": made["tokenizer"]}
    lineage.record(made["checkpoint"], "checkpoint", parents, {})
    lineage.record(made["adapter"], "adapter", {"base": made["checkpoint"], "remote": "ab" * 32}, {"run": "r"})
    lineage.record(made["export.gguf"], "export", {"adapter": made["adapter"]}, {"kind": "F16"})
    return made


def test_the_tree_reaches_from_the_export_to_the_data(tmp_path: Path) -> None:
    made = chain(tmp_path)
    names = [(one.lineage.name, one.lineage.kind, one.standing) for one in lineage.check(made["export.gguf"])]
    assert names == [
        ("export.gguf", "export", "unchanged"),
        ("adapter", "adapter", "unchanged"),
        ("base", "checkpoint", "unchanged"),
        ("data.train[0]", "", "unchanged"),
        ("tokenizer", "tokenizer", "unchanged"),
        ("corpus", "", "unchanged"),
        ("remote", "", "unknown"),
    ]


def test_hashes_are_sha256_of_content_and_of_sorted_names(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    assert lineage.content_hash(file) == hashlib.sha256(b"one").hexdigest()
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "b").write_bytes(b"two")
    (folder / "a").write_bytes(b"one")
    lines = f"a\0{hashlib.sha256(b'one').hexdigest()}\nsub/b\0{hashlib.sha256(b'two').hexdigest()}\n"
    assert lineage.content_hash(folder) == hashlib.sha256(lines.encode()).hexdigest()


def test_what_is_said_about_an_artefact_does_not_change_it(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"w")
    before = lineage.content_hash(tmp_path)
    lineage.record(tmp_path, "checkpoint", {}, {})
    (tmp_path / "README.md").write_text("card")
    (tmp_path / "certificate.json").write_text("{}")
    assert lineage.content_hash(tmp_path) == before


def test_a_file_that_changed_went_or_came_is_named(tmp_path: Path) -> None:
    made = chain(tmp_path)
    weights = made["checkpoint"] / "weights"
    weights.write_bytes(b"tampered")
    (made["checkpoint"] / "more").write_bytes(b"")
    (made["adapter"] / "weights").unlink()
    checked = {one.lineage.name: one for one in lineage.check(made["export.gguf"])}
    assert checked["base"].changed == ("more is new", "weights changed")
    assert checked["adapter"].changed == ("weights is gone",)
    assert checked["export.gguf"].standing == "unchanged"


def test_a_parent_that_went_away_keeps_its_own_parents_in_the_tree(tmp_path: Path) -> None:
    made = chain(tmp_path)
    made["checkpoint"].rename(tmp_path / "elsewhere")
    checked = {one.lineage.name: one.standing for one in lineage.check(made["export.gguf"])}
    assert checked["base"] == "gone"
    assert checked["data.train[0]"] == "unchanged"


def test_the_whole_moved_together_is_still_found(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    chain(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    assert {one.standing for one in lineage.check(tmp_path / "new" / "export.gguf")} == {"unchanged", "unknown"}


def test_a_parent_changed_after_its_record_says_so_in_the_childs(tmp_path: Path) -> None:
    made = chain(tmp_path)
    (made["tokenizer"] / "weights").write_bytes(b"newer")
    child = lineage.record(made["adapter"], "adapter", {"tokenizer": made["tokenizer"]}, {})
    assert child.parents[0].facts["note"] == lineage.CHANGED


def test_json_holds_the_whole_tree(tmp_path: Path) -> None:
    made = chain(tmp_path)
    told = json.loads(json.dumps(lineage.as_object(lineage.check(made["export.gguf"]))))
    base = told["parents"][0]["parents"][0]
    assert (base["name"], base["standing"]) == ("base", "unchanged")
    assert base["parents"][1]["facts"] == {"vocabulary": 300}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"name": "a", "hash": 3}',
        '{"name": "a", "hash": "b", "parents": [1]}',
        '{"name": "a", "hash": "b", "else": 1}',
        "\udcff",
        "[" * 100_000,
    ],
)
def test_a_damaged_record_is_two_lines(tmp_path: Path, content: str) -> None:
    (tmp_path / "weights").write_bytes(b"w")
    (tmp_path / "lineage.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DataError) as found:
        lineage.check(tmp_path)
    assert len(str(found.value).splitlines()) == 2


def test_a_record_of_endless_generations_is_refused(tmp_path: Path) -> None:
    value: dict[str, object] = {"name": "a", "hash": "b"}
    for _ in range(200):
        value = {"name": "a", "hash": "b", "parents": [value]}
    (tmp_path / "lineage.json").write_text(json.dumps(value))
    with pytest.raises(DataError, match="generations"):
        lineage.check(tmp_path)


def test_no_artefact_and_no_record_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not there"):
        lineage.check(tmp_path / "none")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="nobody recorded"):
        lineage.check(tmp_path / "file")
