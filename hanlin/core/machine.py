"""This machine: what a process may use of it, and why. Processors, memory and instruction sets; no figure is guessed.

Threads beyond the allowed cores are the costliest mistake of the field: they can slow generation down 45-fold
(ollama issue 17916). So cores are the tightest of affinity, physical cores, the container's quota and OMP_NUM_THREADS.
"""

import os
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from hanlin.core.cgroup import read_limits, text_of

ROOT = Path("/")
INSTRUCTIONS = {
    "avx2": "AVX2",
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "avx512_bf16": "AVX512-BF16",
    "avx512_fp16": "AVX512-FP16",
    "amx_int8": "AMX-INT8",
    "amx_bf16": "AMX-BF16",
    "asimd": "NEON",
    "asimddp": "NEON-DOT",
    "i8mm": "I8MM",
    "bf16": "ARM-BF16",
    "sve": "SVE",
}
"""Names of the kernel's processor flags that matter for matrices → the names people use."""


@dataclass(frozen=True)
class Cores:
    """How many threads pay off here, and the reason."""

    count: int
    """Threads to use: the tightest of the limits below, at least 1."""
    reason: str
    """Which limit it was, in words."""
    logical: int
    """Logical processors of the machine."""
    allowed: int
    """Logical processors that the affinity mask leaves to this process."""
    physical: int
    """Physical cores among the allowed ones."""
    quota: float | None
    """Processor time per wall time that the container allows; None without a quota."""


@dataclass(frozen=True)
class Memory:
    """How much memory this process can still take, and the reason."""

    available_bytes: int
    """What can be taken now without swapping or being killed."""
    reason: str
    """Whether the machine or the container sets it."""
    total_bytes: int
    """Memory of the machine, or the container's limit where that is smaller."""
    limit_bytes: int | None
    """The container's limit; None without one."""
    swap_total_bytes: int
    """Swap space."""
    swap_free_bytes: int
    """Swap space not in use."""


def allowed_cores(
    root: Path = ROOT, affinity: AbstractSet[int] | None = None, env: Mapping[str, str] | None = None
) -> Cores:
    """The number of threads that pay off for this process.

    A quota is rounded to the nearest whole core: 1.5 cores run two threads, 1.2 run one.
    """
    mask = frozenset(affinity if affinity is not None else _affinity())
    logical = len(re.findall(r"^processor\s*:", text_of(root / "proc/cpuinfo"), re.M)) or os.cpu_count() or 1
    physical = physical_cores(root, mask)
    limits = read_limits(root)
    wish = (os.environ if env is None else env).get("OMP_NUM_THREADS", "").split(",")[0].strip()
    ways = [(logical, f"the machine has {logical}")]
    if len(mask) < logical:
        ways.append((len(mask), f"the affinity mask leaves {len(mask)} of {logical}"))
    if physical < min(len(mask), logical):
        ways.append((physical, f"{len(mask)} logical processors share {physical} physical cores"))
    if limits.cores is not None:
        rounded = max(1, int(limits.cores + 0.5))
        ways.append((rounded, f"the container's quota is {limits.cores:g} cores ({limits.cores_from})"))
    if wish.isdigit() and int(wish) > 0:
        ways.append((int(wish), f"OMP_NUM_THREADS is {wish}"))
    count, reason = min(ways, key=lambda way: way[0])
    return Cores(count, reason, logical, len(mask), physical, limits.cores)


def physical_cores(root: Path = ROOT, mask: AbstractSet[int] = frozenset()) -> int:
    """Physical cores among the logical processors of `mask`; those of unknown topology count as one each."""
    cores = set()
    for number in mask:
        folder = root / f"sys/devices/system/cpu/cpu{number}/topology"
        siblings = text_of(folder / "core_cpus_list").strip() or text_of(folder / "thread_siblings_list").strip()
        cores.add(siblings or str(number))
    return len(cores)


def allowed_memory(root: Path = ROOT) -> Memory:
    """The memory that this process can still take: what the machine has left, or the container's limit if tighter."""
    total, available, swap_total, swap_free = _memory(root)
    limits = read_limits(root)
    limit = limits.memory_bytes
    reason = "free memory of the machine"
    if limit is not None:
        left = max(0, limit - limits.memory_used_bytes)
        if left < available:
            available, reason = left, f"what is left of the container's limit ({limits.memory_from})"
        total = min(total, limit)
        limit = limit if limit <= total else None
    return Memory(available, reason, total, limit, swap_total, swap_free)


def instruction_sets(cpuinfo: str) -> list[str]:
    """Names such as "AVX512-VNNI" found in the text of /proc/cpuinfo; the kernel or hypervisor may hide some."""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.M)
    flags = set(found.group(1).split()) if found else set()
    return [name for flag, name in INSTRUCTIONS.items() if flag in flags]


def processor_name(cpuinfo: str) -> str:
    """The model name as the processor gives it, or "" where it gives none."""
    found = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", cpuinfo, re.M)
    return found.group(1).strip() if found else ""


def cpuinfo(root: Path = ROOT) -> str:
    """The text of /proc/cpuinfo, "" where there is none."""
    return text_of(root / "proc/cpuinfo")


def _affinity() -> AbstractSet[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _memory(root: Path) -> tuple[int, int, int, int]:
    """Total and available memory, total and free swap, in bytes: /proc/meminfo, else what psutil finds."""
    found = {
        name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB", text_of(root / "proc/meminfo"), re.M)
    }
    if "MemAvailable" in found:
        return found.get("MemTotal", 0), found["MemAvailable"], found.get("SwapTotal", 0), found.get("SwapFree", 0)
    import psutil

    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return memory.total, memory.available, swap.total, swap.free
