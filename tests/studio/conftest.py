"""One server for all tests of the studio, started as a user would; and a browser."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import hanlin

CHROMIUM = "/usr/bin/chromium"
SECONDS = 60


def serving(folder: Path) -> Iterator[str]:
    """`hanlin serve`, its state and keys in a folder of its own; where it listens."""
    command = [sys.executable, "-c", "from hanlin.cli.main import main; main()", "serve", "--port", "0"]
    command += ["--state", str(folder / "state.db"), "--keys", str(folder / "keys.json"), "--drain-seconds", "0"]
    told = folder / "log"
    with told.open("w") as log:
        env = {**os.environ, "PYTHONPATH": str(Path(hanlin.__file__).parents[1])}
        process = subprocess.Popen(command, stderr=log, cwd=folder, env=env)
    try:
        for _ in range(SECONDS * 10):
            if found := re.search(r"listening on (\S+)", told.read_text()):
                break
            assert process.poll() is None, told.read_text()
            time.sleep(0.1)
        else:
            pytest.fail(told.read_text())
        yield found[1]
    finally:
        process.terminate()
        process.wait(SECONDS)
    bugs = [line for line in told.read_text().splitlines() if '"error"' in line]
    assert not bugs, "\n".join(bugs)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server's keys would be; there are none at first."""
    return tmp_path_factory.mktemp("studio") / "keys.json"


@pytest.fixture(scope="session")
def server(keys: Path, smollm2: Path) -> Iterator[str]:
    """One for all."""
    yield from serving(keys.parent)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    if not Path(CHROMIUM).is_file():
        pytest.skip(f"there is no browser at {CHROMIUM}")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def opened(browser: Browser, server: str) -> Iterator[Callable[..., Page]]:
    """`opened("/models", language="zh-CN")` is a page; in the end nothing may have gone wrong in it."""
    wrong: list[str] = []
    contexts = []

    def open_page(
        path: str = "/", language: str = "en-GB", scheme: str = "light", size: tuple[int, int] = (1360, 860)
    ) -> Page:
        context = browser.new_context(
            locale=language,
            color_scheme=scheme,  # pyright: ignore[reportArgumentType]
            viewport={"width": size[0], "height": size[1]},
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda said: wrong.extend([said.text] if said.type == "error" else []))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda sent: wrong.extend([sent.url] if _is_elsewhere(sent.url, server) else []))
        page.goto(server + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong, "\n".join(wrong)


def _is_elsewhere(url: str, server: str) -> bool:
    return not url.startswith((server, "data:", "blob:", server.replace("http", "ws", 1)))
