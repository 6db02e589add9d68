"""The native kernels, built where there is a C++ compiler; without one Hanlin installs all the same and says so."""

import sys
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = "hanlin/kernels/native"
NAMES = ("avx2", "avx2vnni", "avx512vnni", "door", "paths", "plan", "portable", "products", "threads")
HEADERS = ("attend", "body", "eight", "floats", "paths", "plan", "products", "rows", "target", "threads", "tile")
# -fno-tree-pre: with it GCC 12 writes the 24 sums of a tile to memory at every step.
# -ffp-contract=off: no fused multiplication and addition, so that every path gives the same bits.
FLAGS = ["-std=c++17", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fno-tree-pre"]
FLAGS += ["-fvisibility=hidden", "-pthread", "-w"]


class Optional(build_ext):
    """A library for ctypes, not a module of Python; and no failure if it cannot be built."""

    def run(self) -> None:
        """Build, or say why not."""
        try:
            super().run()
        except Exception as error:  # of any kind that a compiler, or the lack of one, can make
            print(f"hanlin: no native kernels: {error}", file=sys.stderr)

    def get_export_symbols(self, ext: Any) -> list[str]:
        """None: Windows would look for a module's beginning."""
        return []


setup(
    ext_modules=[
        Extension(
            "hanlin.kernels._native",
            sources=[f"{SOURCES}/{name}.cpp" for name in NAMES],
            depends=[f"{SOURCES}/{name}.h" for name in HEADERS],
            extra_compile_args=FLAGS,
            extra_link_args=["-pthread"],
            language="c++",
        )
    ],
    cmdclass={"build_ext": Optional},
)
