"""Errors say what happened, with the value, then the fix."""

from hanlin.core import errors
from hanlin.core.errors import ConfigError, HanlinError, did_you_mean, shown


def test_an_error_prints_as_what_happened_and_the_fix() -> None:
    assert str(ConfigError("train.lr = -1: too small", "give a positive rate")) == (
        "train.lr = -1: too small\n  fix: give a positive rate"
    )


def test_every_branch_is_drawn_at_the_top_of_the_file() -> None:
    branches = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HanlinError)]
    assert len(branches) >= 8
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in branches)


def test_a_near_word_is_suggested_and_else_all_are_listed() -> None:
    assert (
        did_you_mean("max_repeated_line", ["max_repeated_lines", "min_words"]) == "did you mean 'max_repeated_lines'?"
    )
    assert did_you_mean("zzz", ["b", "a"]) == "one of: a, b"
    assert "none" in did_you_mean("zzz", [])


def test_a_huge_value_is_cut_so_that_the_line_stays_a_line() -> None:
    assert len(shown("x" * 10_000)) == 80
    assert "\n" not in shown("a\nb")
