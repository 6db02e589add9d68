"""Conversations and responses in PostgreSQL: a real one, where its programs are here, shared by two servers."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp

import pytest
from openai import OpenAI

from hanlin import kernels
from hanlin.core.errors import StoreError
from hanlin.serve.state import CONVERSATIONS, RESPONSES, State
from serve.live import live


def programs() -> Path | None:
    """Where initdb and postgres are."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return places[-1] if places else None


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    pytest.importorskip("psycopg", reason="no driver: pip install 'hanlin[postgres]'")
    if (place := programs()) is None:
        pytest.skip("no PostgreSQL on this machine: apt-get install postgresql")
    folder, user = Path(mkdtemp(prefix="pg-", dir="/tmp")), None
    if os.getuid() == 0:  # it does not run as root
        user = "postgres"
        shutil.chown(folder, user)
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    try:
        made = [place / "initdb", "-D", folder / "data", "-U", "me", "-A", "trust", "--no-sync", "-E", "UTF8"]
        subprocess.run(made, user=user, cwd=folder, check=True, capture_output=True)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -k {folder}"
        control = [place / "pg_ctl", "-D", folder / "data", "-w"]
        begun = [*control, "-l", folder / "log", "-o", options, "start"]
        subprocess.run(begun, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        try:
            yield f"postgresql://me@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], user=user, cwd=folder, capture_output=True)
    finally:
        shutil.rmtree(folder)


def test_it_keeps_what_sqlite_keeps(url: str, tmp_path: Path) -> None:
    hard = {"text": "翰林 🙂 \x00 end", "deep": [1.5, None, {"a": True}]}

    async def told(where: str | Path) -> list[object]:
        state = State(where)
        try:
            for n in range(3):
                await state.keep(CONVERSATIONS, f"c{n}", "me", changed=float(n), title=f"t\x00{n}", content=hard)
            await state.keep(CONVERSATIONS, "c0", "me", changed=9.0, title="长" * 200, content={})
            await state.keep(RESPONSES, "r", "me", created=1.0, input=[hard], told={"status": "in_progress"})
            found = await state.all_of(CONVERSATIONS, "me")
            others = await state.find(CONVERSATIONS, "c1", "somebody else")
            assert await state.find(CONVERSATIONS, "c\x00", "me") is None
            dropped = [await state.drop(CONVERSATIONS, "c1", "me"), await state.drop(CONVERSATIONS, "c1", "me")]
            return [found, others, dropped, await state.find(RESPONSES, "r", "me"), state.end_open()]
        finally:
            state.close()

    assert asyncio.run(told(url)) == asyncio.run(told(tmp_path / "state.db"))


def test_servers_that_start_at_once_all_make_the_tables(url: str, tmp_path: Path) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS responses, chats, conversations")
    with ThreadPoolExecutor(6) as threads:
        for state in list(threads.map(State, [url] * 6 + [str(tmp_path / "state.db")] * 6)):
            state.close()


def test_a_database_that_is_not_there_is_told_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError, match="cannot be opened") as caught:
        State("postgresql://me:secret@127.0.0.1:9/none")
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(kernels.missing() is not None, reason="no native kernels")
def test_one_server_goes_on_from_what_another_has_kept(url: str, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with live(tmp_path, state=url) as one, live(tmp_path / "b", state=url) as other:
        with OpenAI(base_url=one.api, api_key="none") as client:
            first = client.responses.create(model="tiny", input="hello", max_output_tokens=4)
        with OpenAI(base_url=other.api, api_key="none") as client:
            assert client.responses.retrieve(first.id).output_text == first.output_text
            again = client.responses.create(
                model="tiny", input="the", previous_response_id=first.id, max_output_tokens=4
            )
            assert again.usage is not None and first.usage is not None
            assert again.usage.input_tokens > first.usage.input_tokens
