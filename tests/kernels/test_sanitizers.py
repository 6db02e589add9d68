"""The native library under the sanitizers of addresses, undefined behaviour and threads, in a program of its own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import hanlin

NATIVE = Path(hanlin.__file__).parent / "kernels" / "native"
FLAGS = ["-std=c++17", "-O1", "-g", "-ffp-contract=off", "-pthread", "-w", "-fno-sanitize-recover=all"]
COMPILER = shutil.which(os.environ.get("CXX", "c++"))
TRIAL = "#include <thread>\nint main() { std::thread([] {}).join(); }\n"


def built(folder: Path, sanitizer: str, sources: list[Path]) -> list[str]:
    """The program's call, or no test where this compiler or this machine cannot do it."""
    program = folder / sanitizer
    command = [str(COMPILER), *FLAGS, f"-fsanitize={sanitizer}", f"-I{NATIVE}", "-o", str(program)]
    done = subprocess.run([*command, *map(str, sources)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [str(program)]


@pytest.mark.slow
@pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_nothing_is_touched_that_is_not_ours_and_nothing_at_once(sanitizer: str, tmp_path: Path) -> None:
    trial = tmp_path / "trial.cpp"
    trial.write_text(TRIAL)
    command = [str(COMPILER), *FLAGS, f"-fsanitize={sanitizer}", "-o", str(tmp_path / "trial"), str(trial)]
    for step in (command, [str(tmp_path / "trial")]):
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"{sanitizer} does not work here: {(done.stderr.strip() or 'no word').splitlines()[0]}")
    program = built(tmp_path, sanitizer, [Path(__file__).parent / "driver.cpp", *sorted(NATIVE.glob("*.cpp"))])
    done = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    assert not done.stderr, done.stderr[-4000:]
