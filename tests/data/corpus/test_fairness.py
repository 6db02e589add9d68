"""A filter that is unfair by construction is shown to be, a fair one is not; figures are those of closed forms."""

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from hanlin.cli.main import hanlin
from hanlin.core.errors import ConfigError
from hanlin.core.settings import parse
from hanlin.data.corpus.fairness import Fairness, Terms, audit, interval, swapped
from hanlin.data.corpus.refine import Refined, refine
from hanlin.data.corpus.settings import CorpusSettings
from hanlin.data.step import opened

UNFAIR = '''"""Counts a word, and so drops who uses it."""
from hanlin.data.step import Filter

class Step(Filter):
    max_words: int = 0
    def measure(self, view):
        return {"words": view.text.count("she ") + view.text.count("她")}
'''


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[CorpusSettings, Fairness]:
    folder = tmp_path_factory.mktemp("fair")
    (folder / "unfair.py").write_text(UNFAIR)
    rows = []
    for at in range(40):
        rows.append(f"In year {at} she came to the village, and her mother stayed in the kitchen with the farmer {at}.")
        rows.append(f"In year {at} he came to the city, and a father went to the office to meet the boss {at}.")
        rows.append(f"那是第{at}年，她在农村长大，母亲在厨房里做饭，后来去了{at}号。")
        rows.append(f"那是第{at}年，他在城市长大，父亲在公司里工作，后来去了{at}号。")
    (folder / "a.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows), "utf-8")
    settings = parse(
        CorpusSettings,
        {
            "name": "fair",
            "out": str(folder / "run"),
            "workers": 1,
            "duplicates": {"near": False},
            "sources": [{"path": str(folder / "a.jsonl")}],
            "split": {"validation": 0.0},
            "steps": [{"use": "language"}, {"use": str(folder / "unfair.py")}],
        },
    )
    *_, last = refine(settings)
    assert isinstance(last, Refined)
    return settings, audit(last.store, last.decision, opened(settings.steps), Terms())


def test_the_group_that_is_dropped_stands_out(run: tuple[CorpusSettings, Fairness]) -> None:
    found = {(one.by, one.name): one for one in run[1].removal}
    assert found["group", "women"].rate == 1.0 and found["group", "women"].stands_out
    assert found["group", "men"].rate == 0.0 and found["group", "men"].stands_out
    for name in ("en", "zh"):
        assert found["language", name].rate == 0.5 and not found["language", name].stands_out
    assert found["script", "Hans"].documents == 80


def test_a_swap_changes_every_verdict_of_the_unfair_filter_and_none_where_it_does_not_look(
    run: tuple[CorpusSettings, Fairness],
) -> None:
    swaps = {swap.name: swap for swap in run[1].swaps}
    assert (swaps["gender"].documents, swaps["gender"].goes, swaps["gender"].comes) == (160, 80, 80)
    assert swaps["place"].goes == swaps["place"].comes == 0 and swaps["place"].documents == 160


def test_associations_are_log_odds_of_what_is_kept(run: tuple[CorpusSettings, Fairness]) -> None:
    assert run[1].associations == ()  # no text about women is kept
    settings = run[0].model_copy(update={"steps": run[0].steps[:1], "out": run[0].out + "2"})
    *_, last = refine(settings)
    assert isinstance(last, Refined)
    found = audit(last.store, last.decision, opened(settings.steps), Terms())
    work = next(one for one in found.associations if one.name.startswith("gender") and one.attribute == "work")
    assert (work.first, work.second, work.mentions) == (0, 80, (80, 80))
    assert work.log_odds == pytest.approx(math.log(0.5 / 80.5) - math.log(80.5 / 0.5)) and work.high < 0
    home = next(one for one in found.associations if one.name.startswith("gender") and one.attribute == "home")
    assert home.low > 0


def test_words_are_swapped_with_their_capitals_and_back() -> None:
    pattern, turned = Terms().swaps["gender"]
    text = "He saw the WOMAN; the men left. 他和女儿在家。 The theme is other."
    other = swapped(text, pattern, turned)
    assert other == "She saw the MAN; the women left. 她和儿子在家。 The theme is other."
    assert swapped(other, pattern, turned) == text


def test_intervals_are_wilsons() -> None:
    for count, total in ((0, 10), (3, 10), (50, 100)):
        z, share = 1.959963984540054, count / total
        middle = (share + z * z / (2 * total)) / (1 + z * z / total)
        half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
        assert interval(count, total) == pytest.approx((middle - half, middle + half), abs=1e-9)


def test_the_verb_and_the_report_show_it_and_own_terms_are_checked(
    run: tuple[CorpusSettings, Fairness], tmp_path: Path
) -> None:
    said = CliRunner().invoke(hanlin, ["data", "fairness", run[0].out])
    assert said.exit_code == 0 and "* group    women" in said.output and "80 would go and 80 come" in said.output
    page = (Path(run[0].out) / "report.html").read_text("utf-8")
    assert "Fairness of the filters" in page and "过滤器的公平性" in page and "group: women" in page
    (tmp_path / "terms.toml").write_text("[group]\n")
    with pytest.raises(ConfigError, match="no sets of words"):
        Terms(tmp_path / "terms.toml")
