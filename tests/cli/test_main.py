"""The console script as a shell meets it: exit codes, two lines for each mistake, streams that are closed or full."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

HANLIN = Path(sys.executable).with_name("hanlin")


def shell(line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `hanlin` is ours; its code is that of the first command of a pipe."""
    return subprocess.run(
        ["bash", "-c", f'{line}; exit "${{PIPESTATUS[0]}}"'],
        env={**os.environ, "PATH": f"{HANLIN.parent}:{os.environ['PATH']}", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "what", "fix"),
    [
        ("hanlin nexx", "'nexx' is not a verb", "did you mean 'next'?"),
        ("hanlin generate --wrong", "No such option", "hanlin generate --help"),
        ("hanlin generate -p", "requires an argument", "hanlin generate --help"),
        ("hanlin generate -m '' -p x", "'' cannot be the name of a model", "org/name"),
        ("hanlin tokens -m '' x", "'' cannot be the name of a model", "org/name"),
        ("hanlin show '~nobody-of-that-name/x'", "a home that does not exist", "/"),
        ("hanlin show a -m b", "two models: a and b", "name one"),
        ("hanlin next The cat sat", "3 arguments", "quotes"),
        ("hanlin score no-such.txt pyproject.toml", "there is no file 'no-such.txt'", "check the path"),
        ("hanlin score pyproject.toml --window 0", "--window", "hanlin score --help"),
        ("hanlin tour no-such.toml", "no-such.toml cannot be read: No such file", "runs/tour.toml"),
        ("hanlin tour out=", "out = ''", "another value"),
        ("HANLIN_HOME='~nobody-of-that-name' hanlin models", "a home that does not exist", "/"),
    ],
)
def test_a_mistake_is_two_lines_and_exit_code_2(line: str, what: str, fix: str) -> None:
    done = shell(line)
    first, second = done.stderr.splitlines()
    assert done.returncode == 2
    assert what in first
    assert second.startswith("  fix: ") and fix in second
    assert not done.stdout


@pytest.mark.parametrize("closed", ["hanlin tokens - <&-", "hanlin generate -p - <&-", "hanlin score - <&-"])
def test_a_closed_input_is_an_empty_one(closed: str, smollm2: Path) -> None:
    done = shell(closed)
    assert done.returncode == 2
    assert "standard input is empty" in done.stderr


def test_a_closed_output_is_no_error() -> None:
    assert shell("hanlin models >&-").returncode == 0
    assert shell("hanlin --help | true").returncode == 0
    assert not shell("hanlin --help | true").stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_output_is_two_lines_and_exit_code_2() -> None:
    done = shell("hanlin --help > /dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "the output cannot be written: No space left on device"
    assert len(done.stderr.splitlines()) == 2


def wait_until_idle(pid: int) -> None:
    """Until a process waits for something: while it imports, an interrupt can be lost in torch's own code."""
    process, before = psutil.Process(pid), -1.0
    while (now := sum(process.cpu_times()[:2])) != before or now < 0.05:
        before = now
        time.sleep(1)


def test_control_c_ends_the_line_once_and_the_program_with_130(smollm2: Path) -> None:
    with subprocess.Popen([HANLIN, "tokens", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        wait_until_idle(running.pid)
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
        assert running.stderr is not None
        assert running.stderr.read() == b"\n"


def test_debug_adds_the_traceback() -> None:
    assert "Traceback" in shell("hanlin --debug show no-such-model").stderr
    assert "Traceback" not in shell("hanlin show no-such-model").stderr


def test_a_narrow_terminal_loses_no_figure(smollm2: Path) -> None:
    narrow = [shell(line, COLUMNS="40").stdout for line in ("hanlin show", "hanlin doctor --quick --offline")]
    assert "134,515,008" in narrow[0] and "4-bit" in narrow[1]
    assert not any(line.rstrip().endswith("…") for line in narrow[0].splitlines())
