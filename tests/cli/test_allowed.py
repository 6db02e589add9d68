"""Tokens by id or text, and constraints, from the command line."""

from pathlib import Path

import pytest

from hanlin.cli.allowed import Allowed, token_id
from hanlin.core.errors import ConfigError
from hanlin.core.settings import parse
from hanlin.infer.sampling import Sampling
from infer import tiny

TOKENIZER = tiny.tokenizer()


def given(**values: object) -> Allowed:
    plain = {"biases": (), "tokens": (), "banned": (), "shown": (), "schema": None, "pattern": None, "rules": None}
    return Allowed(**{**plain, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "token"), [("97", 97), ("a", 97), ('"7"', 55), ('"\\n"', 10), ("<end>", 265)])
def test_a_token_is_an_id_or_a_text(name: str, token: int) -> None:
    assert token_id(name, TOKENIZER, "--banned-token") == token


@pytest.mark.parametrize("name", ["hello!", "林", "267", "99999999999999999999", "", '"\\x"'])
def test_what_is_no_single_token_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="--banned-token"):
        token_id(name, TOKENIZER, "--banned-token")


def test_biases_and_tokens_become_settings() -> None:
    allowed = given(biases=("a=-5", "==2"), tokens=("b", "99"), banned=("c",), shown=("<turn>",))
    added = allowed.added(Sampling(seed=3), TOKENIZER)
    named = {"allowed_tokens": (98, 99), "banned_tokens": (99,), "shown_tokens": (266,)}
    assert added == parse(Sampling, {"seed": 3, "logit_bias": {97: -5, 61: 2}, **named})
    for bad in ("a", "a=", "a=x", "a=101", "=3"):
        with pytest.raises(ConfigError):
            given(biases=(bad,)).added(Sampling(), TOKENIZER)


def test_one_constraint_at_a_time_from_text_or_file(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text('{"type": "null"}')
    for source in (str(path), '{"type": "null"}'):
        constraint = given(schema=source).constraint("p")
        assert constraint is not None
        assert (constraint.kind, constraint.source) == ("json_schema", '{"type": "null"}')
    assert given().constraint("p") is None
    with pytest.raises(ConfigError, match="cannot both"):
        given(schema="{}", pattern="a").constraint("p")
    with pytest.raises(ConfigError, match="standard input"):
        given(schema="-").constraint("-")
