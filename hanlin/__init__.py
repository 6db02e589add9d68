"""Hanlin (翰林): a language model's whole life on your own machine.

    import hanlin
    model = hanlin.load("smollm2-135m-instruct")
    for event in model.generate("The cat sat on the", max_tokens=20):
        print(event.text, end="")

Importing this package is cheap: torch comes in with the first model.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hanlin.infer.model import Model, load

# Torch's threads wait for each other by spinning, 300,000 turns if nothing is said: on a machine with other work that
# takes the core from the thread that is waited for: 30 tokens per second become 2 (docs/LOG.md). Read as torch loads.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

__version__ = "0.1.0"
__all__ = ["Model", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """`hanlin.load` and `hanlin.Model` come from `hanlin.infer.model`, imported when first asked for."""
    if name in ("Model", "load"):
        from hanlin.infer import model

        return getattr(model, name)
    raise AttributeError(f"module 'hanlin' has no attribute {name!r}")
