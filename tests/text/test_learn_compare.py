"""The comparison of tokenizers counts what is there, by language, and says what is lost."""

from collections.abc import Callable

import pytest

from hanlin.text.learn.compare import RUN, Figures, compared, language, runs
from hanlin.text.learn.settings import LearnSettings
from hanlin.text.learn.train import learn
from text.conftest import Pair

TEXT = "The cat sat on the mat.\n床前明月光，疑是地上霜。\n\nfor (i = 0; i < n; i++) { x[i] = 0; }\nПривет, мир\n"


@pytest.mark.parametrize(
    ("line", "spoken"),
    [
        ("To be, or not to be: that is the question.", "English"),
        ("Über Größe läßt sich streiten.", "English"),
        ("我用 Python 写程序，每天都写。", "Chinese"),
        ("こんにちは、世界", "Chinese"),
        ("def push(self, *tokens: int) -> str:", "code"),
        ("    return x", "code"),
        ("Привет, мир", "other"),
        ("안녕하세요", "other"),
        ("1234 5678", "other"),
    ],
)
def test_lines_are_told_apart(line: str, spoken: str) -> None:
    assert language(line) == spoken


def test_runs_make_the_text_again_and_stay_small() -> None:
    long = TEXT * 2000 + "字" * 200_000
    found = list(runs([long[:12_345], long[12_345:]]))
    assert "".join(text for _, text in found) == long
    assert max(len(text) for _, text in found) < 40 * RUN


def test_figures_are_those_of_the_text(pairs: Callable[[str], Pair]) -> None:
    tokenizer = pairs("smollm2").ours
    *_, last = compared({"smollm2": tokenizer}, [TEXT])
    by = last["smollm2"]
    chinese = "床前明月光，疑是地上霜。\n\n"
    assert (by["Chinese"].characters, by["Chinese"].bytes, by["Chinese"].words) == (14, len(chinese.encode()), 0)
    assert by["Chinese"].tokens == len(tokenizer.encode(chinese + "for")) - 1
    assert by["English"].words == 6
    assert by["English"].tokens_per_word == len(tokenizer.encode("The cat sat on the mat.\n")) / 6
    total = sum(by.values(), Figures())
    assert (total.characters, total.bytes) == (len(TEXT), len(TEXT.encode()))
    assert total.tokens == len(tokenizer.encode(TEXT))
    assert total.unknown == total.lost_bytes == 0


def test_what_is_lost_is_counted(pairs: Callable[[str], Pair]) -> None:
    bert = pairs("minilm").ours
    *_, last = compared({"bert": bert}, ["Hello \U0001f9ff world\n"])
    assert last["bert"]["English"].unknown == 1
    assert last["bert"]["English"].lost_bytes >= len("\U0001f9ffH".encode())
    bare = learn(["abc"], LearnSettings(kind="characters", vocabulary=20, unk="<unk>"))
    *_, last = compared({"bare": bare}, ["abcé"])
    assert (last["bare"]["English"].unknown, last["bare"]["English"].lost_bytes) == (1, 2)
