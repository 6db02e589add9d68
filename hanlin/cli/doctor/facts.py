"""Facts of this machine as plain JSON values, and the problems they spell, each with its fix."""

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from hanlin import kernels
from hanlin.core.errors import ConfigError
from hanlin.core.home import home
from hanlin.core.machine import allowed_cores, allowed_memory, cpuinfo, instruction_sets, processor_name

GIB = 1 << 30
HAS_AMX = {143, 173, 174, 207}
"""Models of Intel's family 6 whose silicon has AMX: Sapphire, Granite and Emerald Rapids."""

Facts = dict[str, Any]
Problem = dict[str, str]


def gather() -> Facts:
    """Everything but speeds and the network."""
    build, cards = _torch()
    return {
        "processor": _processor(),
        "memory": asdict(allowed_memory()),
        "cache": cache_folder(home()),
        "python": {"version": platform.python_version(), "executable": sys.executable, "system": platform.platform()},
        "packages": packages(),
        "torch": build,
        "kernels": native(),
        "gpu": cards,
    }


def _processor() -> Facts:
    info = cpuinfo()
    return {
        "name": processor_name(info) or platform.processor() or platform.machine(),
        "cores": asdict(allowed_cores()),
        "instruction_sets": instruction_sets(info),
        "is_amx_hidden": is_amx_hidden(info),
    }


def native() -> Facts:
    """Which instructions the native kernels use, or why there are none."""
    try:
        missing = kernels.missing()
        return {"path": None if missing else kernels.path(), "missing": missing}
    except ConfigError as error:  # HANLIN_KERNELS names what is not there
        return {"path": None, "missing": f"{kernels.VARIABLE} cannot be had: {error.what}"}


def is_amx_hidden(info: str) -> bool:
    """The processor has AMX in silicon, but the kernel or the hypervisor does not show it."""
    found = dict(re.findall(r"^(cpu family|model)\s*:\s*(\d+)", info, re.M))
    return found.get("cpu family") == "6" and int(found.get("model", 0)) in HAS_AMX and "amx_int8" not in info


def cache_folder(folder: Path) -> Facts:
    """Path, size and free space of the model store; the first folder above that exists tells whether it can be made."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    used = 0
    for parent, _, names in os.walk(folder):
        used += sum(path.lstat().st_size for name in names if (path := Path(parent) / name).exists())
    return {
        "folder": str(folder),
        "is_there": folder.is_dir(),
        "is_writable": there.is_dir() and os.access(there, os.W_OK | os.X_OK),
        "used_bytes": used,
        "free_bytes": shutil.disk_usage(there).free,
    }


def packages() -> list[Facts]:
    """What Hanlin needs: name, the version found (None: missing), the range wanted, and whether it is in it."""
    from packaging.requirements import Requirement

    rows = []
    for line in metadata.requires("hanlin") or []:
        need = Requirement(line)
        if need.marker and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            version = None
        fits = version is not None and need.specifier.contains(version, prereleases=True)
        rows.append({"name": need.name, "version": version, "wanted": str(need.specifier), "is_right": fits})
    return sorted(rows, key=lambda row: row["name"].lower())


def _torch() -> tuple[Facts, list[Facts]]:
    try:
        import torch
    except (ImportError, OSError) as error:  # a broken wheel fails while loading its libraries
        return {"error": str(error).splitlines()[0] if str(error) else type(error).__name__}, []
    shown = torch.__config__.show()
    blas = re.search(r"BLAS_INFO=(\w+)", shown)
    onednn = re.search(r"MKL-DNN v([\d.]+)", shown)
    build = {
        "version": torch.__version__,
        "blas": blas.group(1) if blas else None,
        "onednn": onednn.group(1) if onednn else None,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }
    gpus: list[Facts] = []
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(number)
            gpus.append({"kind": "cuda", "name": card.name, "memory_bytes": card.total_memory})
    elif torch.backends.mps.is_available():
        gpus.append({"kind": "mps", "name": "Apple GPU", "memory_bytes": torch.mps.recommended_max_memory()})
    return build, gpus


def speeds(available_bytes: int, threads: int) -> Facts:
    """Measured on `threads` threads, in about two seconds and at most an eighth of the memory left."""
    import torch

    from hanlin.core.measure import product_speed, read_speed

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return {
            "threads": threads,
            "float32_operations_per_second": product_speed("float32"),
            "bfloat16_operations_per_second": product_speed("bfloat16"),
            "int8_operations_per_second": product_speed("int8"),
            "read_bytes_per_second": read_speed(min(512 << 20, max(16 << 20, available_bytes // 8))),
        }
    finally:
        torch.set_num_threads(before)


def problems(facts: Facts) -> Iterator[Problem]:
    """What stands in the way, each with its fix."""
    cores, torch = facts["processor"]["cores"], facts["torch"]
    if "error" in torch:
        yield _problem(
            f"torch does not load: {torch['error']}", "install it again: pip install --force-reinstall torch"
        )
    elif torch["threads"] > cores["count"]:
        what = f"torch would use {torch['threads']} threads, but {cores['reason']}: threads that wait for each other"
        yield _problem(what, f"export OMP_NUM_THREADS={cores['count']}")
    for row in facts["packages"]:
        if not row["is_right"]:
            what = f"{row['name']} {row['version'] or 'is missing'}: {row['wanted']} is needed"
            yield _problem(what, f"pip install '{row['name']}{row['wanted']}'")
    if not facts["processor"]["instruction_sets"] and platform.machine().lower() in ("x86_64", "amd64"):
        yield _problem("the processor shows no AVX2: everything will be slow", "use a machine from 2013 or later")
    if facts["memory"]["available_bytes"] < GIB:
        what = f"{facts['memory']['available_bytes'] / GIB:.2f} GiB of memory are left ({facts['memory']['reason']})"
        yield _problem(what, "close other programs, or raise the container's limit: the default model needs 1 GiB")
    cache = facts["cache"]
    if not cache["is_writable"]:
        yield _problem(f"{cache['folder']} cannot be written", "move the store: export HANLIN_HOME=/a/folder/of/yours")
    elif cache["free_bytes"] < GIB:
        what = f"{cache['free_bytes'] / GIB:.2f} GiB of disk are free for {cache['folder']}"
        yield _problem(what, "free some space (hanlin models, hanlin rm), or move the store with HANLIN_HOME")


def notes(facts: Facts) -> Iterator[str]:
    """What is good to know and nothing to mend."""
    speed = facts.get("speed")
    if facts["processor"]["is_amx_hidden"]:
        yield "the processor has AMX in silicon, but the kernel or the hypervisor hides it"
    if speed and speed["bfloat16_operations_per_second"] < speed["float32_operations_per_second"]:
        yield "bfloat16 products are slower than float32 here: bfloat16 saves memory, not time, on prompts"
    if (missing := facts["kernels"]["missing"]) is not None:
        yield f"there are no native kernels: {missing}; everything runs on torch's operations"
    if facts["memory"]["swap_total_bytes"] == 0:
        yield "there is no swap: a model that does not fit ends the program instead of slowing it down"


def _problem(what: str, fix: str) -> Problem:
    return {"what": what, "fix": fix}
