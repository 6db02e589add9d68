"""Every source of models: spelled out, asked only inside `fetch`, refusing in two lines and leaving nothing behind."""

import inspect
from pathlib import Path

import pytest

from hanlin.core.errors import HanlinError
from hanlin.core.plugins import find, names
from hanlin.model.store.disk import Staging
from hanlin.model.store.request import SOURCES, Request

NONSENSE = ("", "no such thing", "-x", "../../up", "a\0b", "$(id)", "org/name/more/parts", "名字", "x" * 3000)


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    made = Staging(tmp_path / "model", tmp_path / "parts")
    made.model.mkdir()
    made.parts.mkdir()
    return made


@pytest.mark.parametrize("name", names(SOURCES))
def test_a_source_says_how_its_names_are_spelled(name: str) -> None:
    source = find(SOURCES, name)
    assert source.SPELLING and "Raises:" in inspect.getdoc(source.fetch)
    assert inspect.isgeneratorfunction(inspect.unwrap(source.fetch))


@pytest.mark.parametrize("text", NONSENSE)
@pytest.mark.parametrize("name", names(SOURCES))
def test_a_name_that_is_none_is_refused_with_a_fix(name: str, text: str, staging: Staging) -> None:
    with pytest.raises(HanlinError) as error:
        list(find(SOURCES, name).fetch(Request(name, text, is_offline=True), staging))
    assert error.value.fix and "\n" not in error.value.what and len(error.value.what) < 1000
    assert not any(path.is_file() for path in staging.model.parent.rglob("*"))


@pytest.mark.parametrize("name", names(SOURCES))
def test_a_source_that_may_not_ask_asks_nobody(name: str, staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*given: object, **named: object) -> None:
        raise AssertionError("the network was asked")

    for place in ("socket.socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        monkeypatch.setattr(place, forbidden)
    for text in ("org/name", "package==1.0", "smollm2-135m-instruct"):
        with pytest.raises(HanlinError):
            list(find(SOURCES, name).fetch(Request(name, text, is_offline=True), staging))
