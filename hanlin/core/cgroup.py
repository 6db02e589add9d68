"""What a container may use: the kernel's control-group files in, limits on processor and memory out (version 1 and 2).

A limit set on any group above ours binds us too, so every group from our own up to the mounted root is read and the
tightest one counts. Kernel reference: https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNLIMITED_V1 = 1 << 60
"""Version 1 writes "no limit" as a number near 2^63; no machine has 2^60 bytes."""


@dataclass(frozen=True)
class Limits:
    """What the control groups allow; None where they set no limit."""

    cores: float | None = None
    """Processor time per wall time, such as 1.5."""
    memory_bytes: int | None = None
    """The limit on memory, in bytes."""
    memory_used_bytes: int = 0
    """What the limited group uses of it, without file pages that the kernel would drop."""
    cores_from: str = ""
    """The file that says so."""
    memory_from: str = ""
    """The file that says so."""


def read_limits(root: Path = Path("/")) -> Limits:
    """The limits on this process. `root` is where /proc and /sys hang; without control groups nothing is limited."""
    cores: float | None = None
    cores_from = memory_from = ""
    memory: tuple[int, int] | None = None
    for group in _groups(root, "cpu"):
        for name, found in (("cpu.max", _cores_v2(group)), ("cpu.cfs_quota_us", _cores_v1(group))):
            if found is not None and (cores is None or found < cores):
                cores, cores_from = found, f"/{(group / name).relative_to(root)}"
    for group in _groups(root, "memory"):
        for name, found in (("memory.max", _memory_v2(group)), ("memory.limit_in_bytes", _memory_v1(group))):
            if found and (memory is None or found[0] - found[1] < memory[0] - memory[1]):
                memory, memory_from = found, f"/{(group / name).relative_to(root)}"
    limit, used = memory or (None, 0)
    return Limits(cores, limit, used, cores_from, memory_from)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of our own group and those above it, for each hierarchy that can carry the controller."""
    places = dict(_mounts(text_of(root / "proc/self/mountinfo"), controller))
    for version, inside in _memberships(text_of(root / "proc/self/cgroup"), controller):
        if version not in places:
            continue
        mounted_root, mount = places[version]
        top = root / mount.lstrip("/")
        # In a container the mount shows only our part of the tree, while /proc may still give the path from the host.
        below = Path(inside).relative_to(mounted_root) if Path(inside).is_relative_to(mounted_root) else Path()
        here = top / below
        yield from [here, *(parent for parent in here.parents if parent == top or parent.is_relative_to(top))]


def _memberships(text: str, controller: str) -> Iterator[tuple[int, str]]:
    """`(version, path)` per line of /proc/self/cgroup: `0::/a` is version 2, `4:memory:/b` version 1."""
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield 2, path
        elif controller in controllers.split(","):
            yield 1, path


def _mounts(text: str, controller: str) -> Iterator[tuple[int, tuple[str, str]]]:
    """`(version, (root inside the hierarchy, mount point))` per line of /proc/self/mountinfo."""
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or not kind:
            continue
        if kind[0] == "cgroup2":
            yield 2, (fields[3], fields[4])
        elif kind[0] == "cgroup" and controller in kind[-1].split(","):
            yield 1, (fields[3], fields[4])


def _cores_v2(group: Path) -> float | None:
    quota, period, *_ = [*text_of(group / "cpu.max").split(), "", ""]
    return _ratio(quota, period or "100000")


def _cores_v1(group: Path) -> float | None:
    return _ratio(text_of(group / "cpu.cfs_quota_us"), text_of(group / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    """-1 (version 1) and "max" (version 2) mean no limit."""
    quota, period = quota.strip(), period.strip()
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(quota) and int(period) else None


def _memory_v2(group: Path) -> tuple[int, int] | None:
    return _memory(group, "memory.max", "memory.current", "inactive_file")


def _memory_v1(group: Path) -> tuple[int, int] | None:
    return _memory(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _memory(group: Path, limit: str, used: str, reclaimable: str) -> tuple[int, int] | None:
    most = text_of(group / limit).strip()
    if not most.isdigit() or int(most) >= UNLIMITED_V1:
        return None
    stat = dict(line.split(maxsplit=1) for line in text_of(group / "memory.stat").splitlines() if " " in line)
    return int(most), max(0, _number(text_of(group / used)) - _number(stat.get(reclaimable, "0")))


def _number(text: str) -> int:
    return int(text) if text.strip().isdigit() else 0


def text_of(path: Path) -> str:
    """A kernel file's text; a file that is not there, or not ours to read, says nothing."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
