"""Bodies of /v1/models/…"""

from hanlin.serve.shapes.body import Body


class ModelBody(Body):
    """Names a model."""

    model: str


class ReplaceBody(Body):
    """Names a model, and what is to take its place."""

    model: str
    path: str
    """A stored name, a folder or a .gguf file on the server's machine."""


class AdapterBody(Body):
    """An adapter to have beside a model, as vLLM has it."""

    lora_name: str
    """What requests name in the place of a model."""
    lora_path: str
    """Its folder on the server's machine, as PEFT or hanlin train writes it."""
    model: str | None = None
    """Whose it is; without it that of the first model."""


class AdapterNameBody(Body):
    """Names an adapter."""

    lora_name: str
