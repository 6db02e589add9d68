"""Settings: frozen, closed, and every mistake is named with its path and a fix."""

from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from hanlin.core.errors import ConfigError
from hanlin.core.settings import Settings, load, override, parse


class Filter(Settings):
    """One filter."""

    max_repeated_lines: float = Field(0.3, ge=0, le=1)
    """Largest share of repeated lines."""


class Data(Settings):
    """A section."""

    filters: tuple[Filter, ...] = ()
    """The filters."""
    context: int = 128
    """Tokens in a row."""


class File(Settings):
    """A run file."""

    name: str
    """What the run is called."""
    data: Data = Data()
    """The data."""


def test_an_unknown_key_is_named_in_full_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(File, {"name": "a", "data": {"filters": [{"max_repeated_line": 0.5}]}})
    assert str(caught.value) == (
        "data.filters[0].max_repeated_line is not a setting\n  fix: did you mean 'max_repeated_lines'?"
    )


def test_a_value_out_of_range_or_of_the_wrong_type_is_shown() -> None:
    with pytest.raises(ConfigError, match=r"data\.filters\[0\]\.max_repeated_lines = 7: .*less than or equal to 1"):
        parse(File, {"name": "a", "data": {"filters": [{"max_repeated_lines": 7}]}})
    with pytest.raises(ConfigError, match=r"data\.context = 'many'"):
        parse(File, {"name": "a", "data": {"context": "many"}})


def test_a_missing_value_is_named() -> None:
    with pytest.raises(ConfigError, match="name is missing"):
        parse(File, {})


def test_settings_are_frozen_and_fields_carry_their_docstring_as_help() -> None:
    with pytest.raises(ValidationError):
        parse(File, {"name": "a"}).name = "b"  # pyright: ignore[reportAttributeAccessIssue]
    assert Data.model_fields["context"].description == "Tokens in a row."


def test_overrides_reach_into_sections_and_read_toml_values() -> None:
    values = {"name": "a", "data": {"context": 128}}
    changed = override(values, ["data.context=256", "name=two words", "data.filters=[{max_repeated_lines=0.5}]"])
    assert changed == {"name": "two words", "data": {"context": 256, "filters": [{"max_repeated_lines": 0.5}]}}
    assert values == {"name": "a", "data": {"context": 128}}, "the mapping given is left as it was"


@pytest.mark.parametrize("assignment", ["data.context", "=3", " =3"])
def test_an_override_without_key_or_value_is_refused(assignment: str) -> None:
    with pytest.raises(ConfigError, match="not an override"):
        override({}, [assignment])


def test_an_override_through_a_plain_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="name is 'a', not a section"):
        override({"name": "a"}, ["name.first=b"])


def test_a_file_that_is_missing_or_no_toml_or_no_text_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(File, tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = \n")
    with pytest.raises(ConfigError, match="line 1"):
        load(File, tmp_path / "bad.toml")
    (tmp_path / "bytes.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(File, tmp_path / "bytes.toml")
