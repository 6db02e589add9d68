"""The inside of the sandbox: a program on standard input, after a line with a word; the word and a verdict on output.

Run as a script of its own by `sandbox.py`, without any of Hanlin. Before the program it gives up, for good: writing any
file and reading most (Landlock), and system calls that make processes, open sockets, send signals or change the machine
(seccomp); memory, time and files are bounded. Then it runs the program in the same process.

Read more: https://docs.kernel.org/userspace-api/landlock.html, https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import os
import platform
import resource
import struct
import sys

NO_NEW_PRIVILEGES, SECCOMP, FILTER, DEATH_SIGNAL, KILL = 38, 22, 2, 1, 9
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT, LEAST_ABI = 444, 445, 446, 3
EVERYTHING, READ_FILE, READ_FOLDER = (1 << 15) - 1, 1 << 2, 1 << 3
READABLE = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo", "/dev/null", "/dev/urandom")
THREAD = 0x10000
"""The flag of clone that makes a thread: those are allowed, processes are not."""
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE, CLONE3 = {"x86_64": 56, "aarch64": 220}, 435
PRLIMIT = {"x86_64": 302, "aarch64": 261}
REFUSED = {
    "x86_64": (
        *(57, 58, 59, 322),  # fork, vfork, execve, execveat
        *(41, 53, 42, 49, 50, 425, 426, 427),  # sockets, io_uring (which could open some)
        *(62, 200, 234, 129, 297, 424, 434, 438, 101, 310, 311, 312),  # signals and the memory of others
        *(160, 141, 142, 144, 203, 251, 314),  # limits and priorities
        *(165, 166, 155, 161, 272, 308, 428, 429, 430, 431, 432, 433, 442),  # mounts and namespaces
        *(29, 30, 31, 64, 68, 240, 319, 447),  # memory that outlives a process, or is not counted
        *(
            90,
            91,
            268,
            452,
            92,
            93,
            94,
            260,
            132,
            133,
            235,
            259,
            261,
            280,
            188,
            189,
            190,
            197,
            198,
            199,
        ),  # files' marks
        *(103, 159, 163, 164, 167, 168, 169, 170, 171, 172, 173, 175, 176, 179, 227, 246, 305, 313, 320),  # the machine
        *(248, 249, 250, 298, 304, 321, 323),  # keys, perf, handles, bpf, userfaultfd
        *(105, 106, 113, 114, 116, 117, 119, 126),  # other users
    ),
    "aarch64": (
        *(221, 281, 198, 199, 203, 200, 201, 425, 426, 427),
        *(129, 130, 131, 138, 240, 424, 434, 438, 117, 270, 271, 272),
        *(164, 140, 118, 119, 122, 30, 274),
        *(40, 39, 41, 51, 97, 268, 428, 429, 430, 431, 432, 433, 442),
        *(194, 195, 196, 190, 186, 180, 279, 447),
        *(52, 53, 452, 54, 55, 33, 88, 5, 6, 7, 14, 15, 16),
        *(116, 171, 89, 170, 224, 225, 142, 161, 162, 105, 106, 60, 112, 104, 266, 273, 294),
        *(217, 218, 219, 241, 265, 280, 282),
        *(144, 143, 145, 146, 147, 149, 159, 91),
    ),
}


def limit(memory_bytes: int, seconds: int) -> None:
    """Bound memory, processor time and files, and die with the parent."""
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, seconds + 1),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(what, (most, most))


def close_files(libc: ctypes.CDLL) -> None:
    """Nothing may be written, and only Python's own library be read.

    Raises:
        OSError: the kernel has no Landlock of version 3.
    """
    if libc.syscall(LANDLOCK_CREATE, None, 0, 1) < LEAST_ABI:
        raise OSError("this kernel has no Landlock of version 3 (Linux 6.2)")
    rules = libc.syscall(LANDLOCK_CREATE, ctypes.byref(ctypes.c_uint64(EVERYTHING)), 8, 0)
    for path in (*READABLE, sys.base_prefix):
        if not os.path.exists(path):  # noqa: PTH110 - as little as can be is imported here
            continue
        place = os.open(path, os.O_PATH)
        rights = READ_FILE | (READ_FOLDER if os.path.isdir(path) else 0)  # noqa: PTH112
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, place))
        if libc.syscall(LANDLOCK_ADD, rules, 1, rule, 0):
            raise OSError(f"Landlock refuses a rule for {path}")
        os.close(place)
    if libc.syscall(LANDLOCK_RESTRICT, rules, 0):
        raise OSError("Landlock refuses")
    os.close(rules)


def close_calls(libc: ctypes.CDLL) -> None:
    """Processes, sockets, signals and the machine are out of reach from here on.

    Raises:
        OSError: not this kernel, or not this processor.
    """
    here = platform.machine()
    if here not in ARCHITECTURES:
        raise OSError(f"there is no list of system calls for {here}")
    load, equal, at_least, has_bits, say = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, unknown, kill = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
    lines = [(load, 0, 0, 4), (equal, 1, 0, ARCHITECTURES[here]), (say, 0, 0, kill), (load, 0, 0, 0)]
    lines += [(at_least, 0, 1, 0x40000000), (say, 0, 0, kill)]  # the other numbering of x86
    lines += [(equal, 0, 1, CLONE3), (say, 0, 0, unknown)]  # glibc takes clone instead
    lines += [(equal, 0, 4, CLONE[here]), (load, 0, 0, 16), (has_bits, 0, 1, THREAD), (say, 0, 0, allow)]
    lines += [(say, 0, 0, refuse)]
    lines += [(equal, 0, 6, PRLIMIT[here]), (load, 0, 0, 32), (equal, 0, 3, 0), (load, 0, 0, 36), (equal, 0, 1, 0)]
    lines += [(say, 0, 0, allow), (say, 0, 0, refuse)]  # asking for a limit is no harm
    for number in REFUSED[here]:
        lines += [(equal, 0, 1, number), (say, 0, 0, refuse)]
    lines += [(say, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(lines), ctypes.addressof(code)))
    if libc.prctl(SECCOMP, FILTER, program, 0, 0):
        raise OSError("the kernel refuses a filter of system calls")


def main(memory_bytes: int, seconds: int) -> None:
    """Read, give up, run, tell."""
    word, _, source = sys.stdin.buffer.read().partition(b"\n")
    told = os.dup(1)
    nowhere = os.open("/dev/null", os.O_RDWR)
    for channel in (0, 1, 2):
        os.dup2(nowhere, channel)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(DEATH_SIGNAL, KILL, 0, 0, 0) or libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
            raise OSError("the kernel keeps privileges")
        limit(memory_bytes, seconds)
        close_files(libc)
        close_calls(libc)
    except (OSError, ValueError) as error:
        os.write(told, b"closed " + str(error).encode()[:500])
        os._exit(3)
    try:
        exec(compile(source, "<program>", "exec"), {"__name__": "__main__"})
    except BaseException as error:
        os.write(told, b"failed " + f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:500])
        os._exit(1)
    os.write(told, b"well " + word)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
