"""Cores, memory and instruction sets, read from kernel files written by hand."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from hanlin.core.cgroup import read_limits
from hanlin.core.machine import allowed_cores, allowed_memory, instruction_sets, processor_name

GIB = 1 << 30
V2_MOUNT = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = "3{n} 31 0:3{n} {root} /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}\n"


def machine(folder: Path, logical: int = 8, smt: bool = False, files: Mapping[str, str] = {}) -> Path:
    """A fake / with /proc and /sys of a machine of `logical` processors and 16 GiB, 12 of them available."""
    meminfo = f"MemTotal: {16 * GIB // 1024} kB\nMemFree: 1024 kB\nMemAvailable: {12 * GIB // 1024} kB\n"
    tree = {
        "proc/cpuinfo": "".join(f"processor\t: {n}\nflags\t\t: fpu avx2\n\n" for n in range(logical)),
        "proc/meminfo": f"{meminfo}SwapTotal: 1048576 kB\nSwapFree: 524288 kB\n",
        **files,
    }
    for n in range(logical):
        pair = f"{n % (logical // 2)},{n % (logical // 2) + logical // 2}" if smt else str(n)
        tree[f"sys/devices/system/cpu/cpu{n}/topology/core_cpus_list"] = f"{pair}\n"
    for name, text in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def v2(inside: str = "/", root: str = "/", **files: str) -> dict[str, str]:
    place = f"sys/fs/cgroup{'' if inside == '/' else inside}"
    named = {f"{place}/{name.replace('__', '.')}": text for name, text in files.items()}
    return {"proc/self/cgroup": f"0::{inside}\n", "proc/self/mountinfo": V2_MOUNT.format(root=root), **named}


def test_without_a_quota_every_core_of_the_mask_counts(tmp_path: Path) -> None:
    cores = allowed_cores(machine(tmp_path), affinity=set(range(8)), env={})
    assert (cores.count, cores.quota, cores.reason) == (8, None, "the machine has 8")


def test_affinity_binds(tmp_path: Path) -> None:
    cores = allowed_cores(machine(tmp_path), affinity={1, 5, 6}, env={})
    assert cores.count == 3
    assert "affinity mask leaves 3 of 8" in cores.reason


def test_two_threads_of_one_core_count_once(tmp_path: Path) -> None:
    cores = allowed_cores(machine(tmp_path, smt=True), affinity=set(range(8)), env={})
    assert (cores.count, cores.physical, cores.logical) == (4, 4, 8)
    assert "share 4 physical cores" in cores.reason
    # 0 and 4 are siblings, 1 stands alone
    assert allowed_cores(tmp_path, affinity={0, 4, 1}, env={}).count == 2


@pytest.mark.parametrize(
    ("line", "count"), [("200000 100000", 2), ("150000 100000", 2), ("120000 100000", 1), ("10000 100000", 1)]
)
def test_a_quota_of_version_2_binds_and_is_rounded(tmp_path: Path, line: str, count: int) -> None:
    cores = allowed_cores(machine(tmp_path, files=v2(cpu__max=line)), affinity=set(range(8)), env={})
    assert cores.count == count
    assert cores.quota == int(line.split()[0]) / 100000
    assert "/sys/fs/cgroup/cpu.max" in cores.reason


def test_max_means_no_quota(tmp_path: Path) -> None:
    files = v2(cpu__max="max 100000", memory__max="max")
    assert read_limits(machine(tmp_path, files=files)).cores is None
    assert allowed_memory(tmp_path).limit_bytes is None


def test_the_tightest_group_above_ours_binds(tmp_path: Path) -> None:
    files = v2("/slice/job", cpu__max="max 100000")
    files["sys/fs/cgroup/slice/cpu.max"] = "300000 100000"
    limits = read_limits(machine(tmp_path, files=files))
    assert (limits.cores, limits.cores_from) == (3.0, "/sys/fs/cgroup/slice/cpu.max")


def test_a_container_that_sees_the_hosts_path_still_finds_its_quota(tmp_path: Path) -> None:
    files = v2("/docker/abc", root="/docker/abc") | {"sys/fs/cgroup/cpu.max": "400000 100000"}
    assert read_limits(machine(tmp_path, files=files)).cores == 4.0


def test_version_1_quota_and_memory_bind(tmp_path: Path) -> None:
    mounts = V1_MOUNT.format(n=2, name="cpu,cpuacct", root="/") + V1_MOUNT.format(n=5, name="memory", root="/")
    files = {
        "proc/self/cgroup": "4:memory:/job\n1:cpu,cpuacct:/job\n0::/\n",
        "proc/self/mountinfo": mounts,
        "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "250000\n",
        "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{4 * GIB}\n",
        "sys/fs/cgroup/memory/job/memory.usage_in_bytes": f"{3 * GIB}\n",
        "sys/fs/cgroup/memory/job/memory.stat": f"cache 7\ntotal_inactive_file {GIB}\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    root = machine(tmp_path, files=files)
    assert allowed_cores(root, affinity=set(range(8)), env={}).count == 3
    memory = allowed_memory(root)
    assert (memory.available_bytes, memory.total_bytes, memory.limit_bytes) == (2 * GIB, 4 * GIB, 4 * GIB)
    assert "container" in memory.reason


def test_memory_is_the_smaller_of_free_memory_and_what_the_limit_leaves(tmp_path: Path) -> None:
    files = v2(memory__max=str(64 * GIB), memory__current=str(GIB))
    memory = allowed_memory(machine(tmp_path, files=files))
    assert (memory.available_bytes, memory.total_bytes, memory.limit_bytes) == (12 * GIB, 16 * GIB, None)
    assert (memory.swap_total_bytes, memory.swap_free_bytes) == (GIB, GIB // 2)


def test_a_limit_already_overrun_leaves_nothing_rather_than_less(tmp_path: Path) -> None:
    files = v2(memory__max=str(GIB), memory__current=str(2 * GIB))
    assert allowed_memory(machine(tmp_path, files=files)).available_bytes == 0


def test_the_users_own_thread_count_binds_unless_it_is_nonsense(tmp_path: Path) -> None:
    root = machine(tmp_path)
    for wish, count in (("3", 3), ("3,2", 3), ("99", 8), ("0", 8), ("many", 8), ("-2", 8)):
        assert allowed_cores(root, affinity=set(range(8)), env={"OMP_NUM_THREADS": wish}).count == count, wish


@pytest.mark.parametrize("junk", ["", "junk", "0::", ":::::", "4:memory", "\x00\xff"])
def test_damaged_kernel_files_limit_nothing_and_crash_nothing(tmp_path: Path, junk: str) -> None:
    files = {"proc/self/cgroup": junk, "proc/self/mountinfo": f"{junk}\n - cgroup2\n{V2_MOUNT.format(root='/')}"}
    files["sys/fs/cgroup/cpu.max"] = junk
    limits = read_limits(machine(tmp_path, files=files))
    assert limits.cores is None
    assert limits.memory_bytes is None


def test_a_machine_without_proc_still_has_an_answer(tmp_path: Path) -> None:
    cores, memory = allowed_cores(tmp_path, env={}), allowed_memory(tmp_path)
    assert 1 <= cores.count <= (os.cpu_count() or 1)
    assert 0 < memory.available_bytes <= memory.total_bytes


def test_this_machine_agrees_with_the_system() -> None:
    cores = allowed_cores(env={})
    assert 1 <= cores.count <= cores.allowed <= cores.logical
    if hasattr(os, "sched_getaffinity"):
        assert cores.allowed == len(os.sched_getaffinity(0))


def test_instruction_sets_are_named_as_people_name_them() -> None:
    intel = "model name\t: Xeon 42\nflags\t\t: fpu avx2 avx512f avx512_vnni amx_int8 amx_bf16 amx_tile\n"
    assert instruction_sets(intel) == ["AVX2", "AVX512", "AVX512-VNNI", "AMX-INT8", "AMX-BF16"]
    assert processor_name(intel) == "Xeon 42"
    assert instruction_sets("Features\t: fp asimd asimddp i8mm bf16\n") == ["NEON", "NEON-DOT", "I8MM", "ARM-BF16"]
    assert instruction_sets("") == []
    assert processor_name("") == ""
