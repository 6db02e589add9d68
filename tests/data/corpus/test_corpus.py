"""A corpus run: the same bits for any number of workers and after any kill, nothing lost, nothing silent."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tomli_w
from click.testing import CliRunner

from hanlin.cli.main import hanlin
from hanlin.core.errors import ConfigError, DataError, StoreError
from hanlin.core.settings import parse
from hanlin.data.corpus.decide import counted, decide
from hanlin.data.corpus.explain import moved
from hanlin.data.corpus.refine import Began, Progress, Refined, refine
from hanlin.data.corpus.settings import CorpusSettings
from hanlin.data.corpus.store import Store
from hanlin.data.step import opened

ENGLISH = "the river of that valley was quiet and the people who live there have to walk with their bread".split()
CHINESE = "山里的河很安静，人们带着面包走路，孩子在学校读书，老人在树下喝茶，他们的日子过得很慢。"
NONE_HELD = {"validation": 0.0}
RUN = [sys.executable, "-c", "from hanlin.cli.main import main; main()", "data"]
DEADLY = '''"""Kills the process at one text."""
import os
from hanlin.data.step import Filter

class Step(Filter):
    def measure(self, view):
        if "KILL" in view.text:
            os._exit(9)
        if "RAISE" in view.text:
            raise ValueError("no such thing")
        return {"length": len(view.text)}
'''


def texts(count: int, seed: int = 0) -> list[str]:
    """Texts that quality lets pass, each another; some are Chinese, some are copies of earlier ones."""
    draw = random.Random(seed)
    found: list[str] = []
    for at in range(count):
        if at % 10 == 9:
            found.append(found[draw.randrange(len(found))])
        elif at % 10 == 8:
            found.append(" ".join([*found[draw.randrange(at // 10 * 10 + 1)].split()[:-1], f"end{at}"]))
        elif at % 10 == 7:
            found.append("".join(draw.choice(CHINESE) for _ in range(200)) + str(at))
        else:
            found.append(" ".join(draw.choice(ENGLISH) + ("" if draw.random() < 0.7 else str(at)) for _ in range(90)))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "texts"
    place.mkdir()
    some = texts(300)
    (place / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in some[:200]), "utf-8")
    for at, text in enumerate(some[200:]):
        (place / f"b{at:03}.txt").write_text(text, "utf-8")
    return place


def settings(folder: Path, out: str, **more: object) -> CorpusSettings:
    plain = {
        "name": "try",
        "out": str(folder.parent / out),
        "sources": [
            {"name": "rows", "path": str(folder / "a.jsonl")},
            {"name": "files", "path": str(folder / "*.txt")},
        ],
        "steps": [{"use": "quality"}, {"use": "repetition", "max_top_2": 0.5, "max_top_3": None}],
        "part_documents": 17,
        "split": {"validation": 0.1, "test": 0.05},
        "workers": 1,
    }
    return parse(CorpusSettings, {**plain, **more})


def done(run: CorpusSettings) -> Refined:
    *_, last = refine(run)
    assert isinstance(last, Refined)
    return last


def bits(run: CorpusSettings) -> dict[str, str]:
    """Of everything that counts: parts, decisions, shards."""
    out = Path(run.out)
    paths = [*sorted(out.glob("*/*.parquet")), out / "decisions.parquet"]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_any_number_of_workers_gives_the_same_bits(folder: Path) -> None:
    alone, three = settings(folder, "one"), settings(folder, "three", workers=3)
    done(alone)
    done(three)
    assert bits(alone) == bits(three)
    assert sum(name.startswith("parts/") for name in bits(alone)) > 15


def test_every_document_is_counted_once_and_copies_go(folder: Path) -> None:
    found = done(settings(folder, "out"))
    counts = {name: count for name, count, _ in counted(found.decision, found.store.column("characters"))}
    assert len(found.store) == 300 and sum(counts.values()) == 300
    whole = texts(300)
    assert counts["duplicates.exact"] == 300 - len(set(whole))
    assert counts["duplicates.near"] >= 20  # 29 differ in one word of ninety, four sequences of five in 86
    kept = [row["text"] for split in ("train", "validation", "test") for row in rows(found, split)]
    assert len(kept) == counts["kept"] == len(set(kept))
    assert set(kept) <= set(whole)


def rows(found: Refined, split: str) -> list[dict[str, str]]:
    return [
        row
        for shard in found.written
        if shard.path.parent.name == split
        for row in pq.read_table(shard.path).to_pylist()
    ]


def test_a_killed_run_goes_on_to_the_same_bits(folder: Path) -> None:
    whole, cut = settings(folder, "whole"), settings(folder, "cut", workers=2)
    done(whole)
    file = folder.parent / "cut.toml"
    file.write_text(tomli_w.dumps(cut.model_dump(mode="json", exclude_none=True)))
    draw = random.Random(5)
    kills = 0
    for _ in range(4):
        process = subprocess.Popen([*RUN, str(file)], start_new_session=True, stdout=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(1 + draw.random() * 1.5)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills >= 1
    done(cut)
    assert bits(whole) == bits(cut)


@pytest.mark.parametrize("workers", [1, 2])
def test_one_poisoned_document_is_kept_aside_with_its_error(folder: Path, workers: int) -> None:
    (folder / "b050.txt").write_text("a text that says RAISE somewhere")
    step = folder.parent / "deadly.py"
    step.write_text(DEADLY)
    run = settings(folder, "out", steps=[{"use": str(step)}], workers=workers)
    found = done(run)
    refused = json.loads((Path(run.out) / "summary.json").read_text())["refused"]
    assert [(one["what"], one["step"]) for one in refused] == [("ValueError: no such thing", "deadly")]
    assert refused[0]["document"].endswith("b050.txt") and len(found.store) == 300


def test_a_document_that_kills_its_worker_is_refused(folder: Path) -> None:
    (folder / "b077.txt").write_text("a text that says KILL somewhere")
    step = folder.parent / "deadly.py"
    step.write_text(DEADLY)
    run = settings(folder, "out", steps=[{"use": str(step)}], workers=2)
    events = list(refine(run))
    notes = [event.note for event in events if isinstance(event, Progress) and event.note]
    assert len(notes) == 2 and "refused" in notes[1]
    refused = json.loads((Path(run.out) / "summary.json").read_text())["refused"]
    assert [one["document"].endswith("b077.txt") for one in refused] == [True]
    assert "died" in refused[0]["what"] and len(events[-1].store) == 300


def test_a_moved_bound_measures_nothing_again_and_what_if_foresees_it(folder: Path) -> None:
    run = settings(folder, "out")
    first = done(run)
    seen = {path: path.stat().st_mtime_ns for path in Path(run.out).glob("parts/*.parquet")}
    foreseen = moved(first.store, run, opened(run.steps), ["quality.min_words=95"])
    other = settings(folder, "out", steps=[{"use": "quality", "min_words": 95}, run.steps[1].model_dump()])
    events = list(refine(other))
    assert isinstance(events[0], Began) and events[0].done == events[0].tasks
    assert seen == {path: path.stat().st_mtime_ns for path in Path(run.out).glob("parts/*.parquet")}
    kept = events[-1].decision.is_kept
    assert (foreseen.before, foreseen.after) == (int(first.decision.is_kept.sum()), int(kept.sum()))
    assert 0 < foreseen.after < foreseen.before and foreseen.goes and not foreseen.goes[0].is_kept


def test_what_if_refuses_what_must_be_measured(folder: Path) -> None:
    run = settings(folder, "out")
    found = done(run)
    for change, word in (
        ("quality.compat=dolma", "no bound"),
        ("duplicates.words=9", "not measured"),
        ("qality.x=1", "no step"),
    ):
        with pytest.raises(ConfigError, match=word):
            moved(found.store, run, opened(run.steps), [change])


def test_a_changed_file_is_measured_again_and_said(folder: Path) -> None:
    run = settings(folder, "out")
    done(run)
    (folder / "b000.txt").write_text(" ".join(ENGLISH * 5) + " and something new", "utf-8")
    events = list(refine(run))
    assert any("has changed" in note for note in events[0].notes)
    assert "something new" in " ".join(row["text"] for row in events[-1].store.rows([200], ["text"]))
    fresh = settings(folder, "fresh")
    done(fresh)
    assert bits(run) == bits(fresh)


def test_an_index_drops_what_an_earlier_run_kept(folder: Path) -> None:
    index = {"index": str(folder.parent / "index")}
    first = done(settings(folder, "first", name="first", duplicates=index))
    again = done(settings(folder, "first", name="first", duplicates=index))
    assert again.decision.is_kept.tolist() == first.decision.is_kept.tolist()  # a run never meets itself
    (folder / "b000.txt").write_text(texts(1, seed=99)[0], "utf-8")
    second = done(settings(folder, "second", name="second", duplicates=index))
    assert int(second.decision.is_kept.sum()) == 1


def test_lines_that_many_documents_have_are_taken_out_but_for_the_first(tmp_path: Path) -> None:
    place = tmp_path / "texts"
    place.mkdir()
    for at in range(6):
        (place / f"{at}.txt").write_text(
            f"All rights are reserved by all of us.\nThis page is about subject {at} and no other.\n"
        )
    run = settings(
        place,
        "out",
        sources=[{"path": str(place)}],
        steps=[],
        duplicates={"lines": 3, "near": False},
        split={"validation": 0.0},
    )
    kept = [row["text"] for row in rows(done(run), "train")]
    assert sum("All rights" in text for text in kept) == 1 and all(f"subject {at}" in "".join(kept) for at in range(6))


def test_a_mixture_has_the_shares_it_was_asked_for(folder: Path) -> None:
    run = settings(
        folder, "out", mixture={"weights": {"rows": 1, "files": 1}, "most_epochs": 9}, split={"validation": 0.0}
    )
    found = done(run)
    sizes = found.store.column("characters") * found.mixture.copies
    source = found.store.column("source")
    share = sizes[source == 0].sum() / sizes.sum()
    assert abs(share - 0.5) < 0.05
    assert sum(shard.documents for shard in found.written) == int(found.mixture.copies.sum())


def test_an_order_by_a_tag_is_from_small_to_large(folder: Path) -> None:
    run = settings(
        folder, "out", mixture={"order": "quality.words"}, split={"validation": 0.0}, shard_characters=20_000
    )
    found = done(run)
    lengths = [len(row["text"].split()) for row in rows(found, "train") if row["text"].isascii()]
    assert lengths == sorted(lengths) and len(found.written) > 1
    with pytest.raises(ConfigError, match="nothing that was measured"):
        done(settings(folder, "out", mixture={"order": "quality.wrds"}))


def test_splits_depend_on_the_text_alone(folder: Path) -> None:
    found = done(settings(folder, "out"))
    before = {row["text"]: split for split in ("train", "validation", "test") for row in rows(found, split)}
    assert {"train", "validation", "test"} == set(before.values())
    for at in range(0, 100, 2):
        (folder / f"b{at:03}.txt").unlink()
    again = done(settings(folder, "out"))
    after = {row["text"]: split for split in ("train", "validation", "test") for row in rows(again, split)}
    assert len(after) < len(before) and all(before.get(text, split) == split for text, split in after.items())


def test_nothing_left_is_an_error_that_says_why_to_look(folder: Path) -> None:
    with pytest.raises(DataError, match="nothing stays"):
        done(settings(folder, "out", steps=[{"use": "quality", "min_words": 1000}]))


def test_a_damaged_part_is_named(folder: Path) -> None:
    run = settings(folder, "out")
    done(run)
    part = sorted(Path(run.out).glob("parts/*.parquet"))[3]
    part.write_bytes(part.read_bytes()[:-50])
    with pytest.raises(StoreError, match=part.name):
        decide(Store(part.parent), run, opened(run.steps))


def test_the_verb_runs_explains_and_foresees(folder: Path) -> None:
    run = settings(folder, "out")
    file = folder.parent / "run.toml"
    file.write_text(tomli_w.dumps(run.model_dump(mode="json", exclude_none=True)))
    call = CliRunner()
    said = call.invoke(hanlin, ["data", str(file), "--workers", "1"], catch_exceptions=False)
    assert said.exit_code == 0 and "documents stay" in said.output
    page = (Path(run.out) / "report.html").read_text()
    assert "repetition" in page and not re.search(r"(src|href)=.?https?:", page)
    told = call.invoke(hanlin, ["data", "explain", run.out, "--json"], catch_exceptions=False)
    assert json.loads(told.output)["documents"] == 300
    told = call.invoke(hanlin, ["data", "what-if", run.out, "duplicates.near=false", "--json"], catch_exceptions=False)
    assert json.loads(told.output)["after"] > json.loads(told.output)["before"]
    assert "quality" in call.invoke(hanlin, ["data", "steps"], catch_exceptions=False).output
