"""Memory that a step frees: kept by the process, so that the next one finds it."""

import subprocess
import sys

import pytest

CHECK = """
import resource, sys, torch
from hanlin.train.heap import keep_freed
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(20 << 18).sum()  # 20 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
if sys.argv[1] == "kept":
    assert keep_freed()
for _ in range(10): faults()
print(sum(faults() for _ in range(10)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library is not glibc")
def test_what_is_freed_is_there_for_the_next_without_a_fault() -> None:
    env = {"PATH": "", "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "1048576"}  # as a process is that frees much
    found = {}
    for how in ("given", "kept"):
        done = subprocess.run([sys.executable, "-c", CHECK, how], capture_output=True, text=True, check=True, env=env)
        found[how] = int(done.stdout)
    pages = 20 << 8  # of 4 KiB, in one piece
    assert found["kept"] < 3 * pages < 9 * pages < found["given"]
