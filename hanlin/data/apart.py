"""A process apart for readers that a broken file may hang, kill or make eat memory: it is bounded, and made again.

It stays for the next file, as a reader's imports take longer than most files. Lines of JSON go in and out.
"""

import json
import os
import selectors
import subprocess
import sys
from contextlib import suppress
from typing import Any

from hanlin.core.errors import DataError

SECONDS = 120.0
"""For one file."""
MEMORY_BYTES = 4 << 30
"""Of address space, for the whole process."""
LONGEST_ANSWER = 1 << 28


class Apart:
    """Functions of one module, called elsewhere: `call("read", path="a.pdf")`."""

    def __init__(self, module: str, seconds: float = SECONDS, memory: int = MEMORY_BYTES) -> None:
        """`module`: what to import there. Its functions take and return plain JSON."""
        self.module, self.seconds, self.memory = module, seconds, memory
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, function: str, **given: Any) -> Any:
        """What the function returns.

        Raises:
            DataError: what it raised; or it took too long, or its process died.
        """
        process = self._process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({"function": function, "given": given}).encode() + b"\n")
            process.stdin.flush()
            answer = self._answer(process)
        except BrokenPipeError:
            answer = b""
        if answer is None:
            self.close()
            raise DataError(f"reading it took longer than {self.seconds:.0f} seconds", "leave it out")
        if not answer.endswith(b"\n"):
            code = process.wait()
            self.close()
            raise DataError(f"the process that read it died (exit status {code})", "leave it out")
        told = json.loads(answer)
        if "error" in told:
            raise DataError(told["error"], "leave it out, or save it anew")
        return told["found"]

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                with suppress(BrokenPipeError):  # what was not sent yet
                    pipe.close()
            self._process.wait()
            self._process = None

    def __del__(self) -> None:
        self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        argv = [sys.executable, "-m", "hanlin.data.apart", self.module, str(self.memory)]
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def _answer(self, process: subprocess.Popen[bytes]) -> bytes | None:
        """A line; cut short if the process died; None if it did not come in time."""
        import time

        assert process.stdout is not None
        parts: list[bytes] = []
        until = time.monotonic() + self.seconds
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            while not (parts and parts[-1].endswith(b"\n")):
                if not waiting.select(max(0.0, until - time.monotonic())):
                    return None
                block = os.read(process.stdout.fileno(), 1 << 20)
                if not block:
                    break
                parts.append(block)
        return b"".join(parts)


def serve(module: str, memory: int) -> None:
    """Answer calls until there are no more."""
    import importlib
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what readers print is no answer
    functions = importlib.import_module(module)
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        try:
            told: dict[str, Any] = {"found": getattr(functions, asked["function"])(**asked["given"])}
        except MemoryError:
            told = {"error": f"it needs more than {memory >> 30} GiB of memory"}
        except RecursionError:
            told = {"error": "its parts lie too deep in one another"}
        except Exception as error:  # whatever a library raises is about the file
            told = {"error": getattr(error, "what", f"{type(error).__name__}: {error}"[:300].rstrip(": "))}
        answer = json.dumps(told).encode()
        if len(answer) > LONGEST_ANSWER:
            answer = json.dumps(
                {"error": f"it has {len(answer):,} bytes of text; {LONGEST_ANSWER:,} are the most"}
            ).encode()
        out.write(answer + b"\n")
        out.flush()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
