"""The page of an exam: whole without a network, every item to be found in it, nothing of it ever read as code."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hanlin.core.errors import ConfigError
from hanlin.eval.exam import Result, examine
from hanlin.eval.report import as_page
from hanlin.eval.sample import Reply
from hanlin.eval.store import Store
from hanlin.eval.task import Task, task
from hanlin.eval.tell import write

CHROMIUM = Path("/usr/bin/chromium")


class Fixed:
    """Knows one answer: the first."""

    name, fingerprint, form = "fixed", "fixed", "plain"

    def choose(self, samples, neutral=None):
        for sample in samples:
            yield Reply(loglikelihoods=tuple(-float(place) for place in range(len(sample.choices))), tokens=(1, 1))

    def write(self, samples, max_tokens, stop):
        yield from (Reply(texts=("<script>alert(1)</script> 翰林",)) for _ in samples)

    def read(self, samples):
        yield from (Reply(loglikelihoods=(-3.5,), tokens=(2,)) for _ in samples)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    folder = tmp_path_factory.mktemp("report")
    rows = [{"q": f"</script><b>{n}</b>?", "a": ["x", "y"], "g": n % 2, "s": "ab"[n % 2]} for n in range(45)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "pick.toml").write_text(
        'data = "rows.jsonl"\nprompt = "{q}"\nchoices = "a"\ngold = "g"\ngroup = "s"\nmetrics = ["accuracy", "ece"]\n'
    )
    (folder / "say.toml").write_text('data = "rows.jsonl"\nprompt = "{q}"\ngold = "s"\n')
    tasks: list[Task] = [task(str(folder / name)) for name in ("pick.toml", "say.toml")]
    (folder / "rows.txt").write_text("one 翰林\ntwo\n", "utf-8")
    tasks.append(task("text", str(folder / "rows.txt")))
    found = []
    for one in tasks:
        *_, last = examine(Fixed(), one, Store(":memory:"))
        assert isinstance(last, Result)
        found.append(last)
    return found


def test_each_item_has_its_own_figures_which_are_those_of_the_whole(results: list[Result]) -> None:
    for one in results:
        for name, score in one.scores.items():
            assert len(one.each[name]) == score.n
            if score.is_mean:
                assert sum(one.each[name]) / score.n == pytest.approx(score.value)
    assert results[0].each["accuracy"][:4] == [1.0, 0.0, 1.0, 0.0]


def test_a_folder_gets_every_form_and_an_unknown_one_is_refused(results: list[Result], tmp_path: Path) -> None:
    paths = write(results, tmp_path / "told")
    assert [path.name for path in paths] == ["exam.html", "exam.json", "exam.md", "exam.parquet"]
    told = json.loads(paths[1].read_text("utf-8"))["exams"][0]["scores"]["accuracy"]
    assert 0 < told["low"] < told["value"] < told["high"] < 1
    rows = pq.read_table(paths[3]).to_pylist()
    assert len(rows) == 92 and json.loads(rows[1]["figures"]) == {"accuracy": 0.0, "ece": pytest.approx(0.7310586)}
    with pytest.raises(ConfigError, match=r"exam\.pdf ends in nothing that is known"):
        write(results, tmp_path / "exam.pdf")


def test_the_page_needs_nothing_from_outside_and_no_text_of_an_item_is_code(results: list[Result]) -> None:
    whole = as_page(results)
    assert "src=" not in whole and "@import" not in whole and "<link" not in whole
    assert "alert(1)</script>" not in whole and "</script><b>" not in whole
    assert whole.count("<svg") == 3  # shares of all, shares of the groups, reliability
    assert "逐题" in whole and "每一道题" in whole


def test_items_are_found_by_what_they_are_filed_under_and_by_their_words(results: list[Result], tmp_path: Path) -> None:
    if not CHROMIUM.is_file():
        pytest.skip(f"there is no browser at {CHROMIUM}")
    from playwright.sync_api import sync_playwright

    (path,) = write(results, tmp_path / "exam.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        view, broken = browser.new_page(), []
        view.on("pageerror", lambda error: broken.append(str(error)))
        view.goto(path.as_uri())
        assert view.locator(".count").inner_text() == "92 / 92"
        assert view.locator("details").count() == 20
        view.locator(".browser button").click()
        assert view.locator("details").count() == 40
        view.locator("select").nth(1).select_option("=pick")
        view.locator("select").nth(3).select_option("=✗")
        assert view.locator(".count").inner_text() == "22 / 92"
        view.locator("input[type=search]").fill("<b>7</b>")
        assert view.locator("details").count() == 1
        view.locator("summary").click()
        assert view.locator("details pre").first.inner_text() == "</script><b>7</b>?"
        assert "✓   " in view.locator("details pre").nth(1).inner_text()
        assert broken == []
        browser.close()
