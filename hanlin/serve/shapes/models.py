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
