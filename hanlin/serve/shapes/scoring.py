"""Bodies of the endpoints that judge texts instead of writing them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hanlin.infer.embed import Pooling
from hanlin.serve.shapes.body import Body, Shape
from hanlin.serve.shapes.completion import Ids

Texts = Annotated[list[str], Field(min_length=1, max_length=2048)]


class EmbeddingBody(Body):
    """Texts to be embedded: https://platform.openai.com/docs/api-reference/embeddings/create"""

    refused: ClassVar[dict[str, str]] = {"dimensions": "no model here was trained to be cut to fewer"}
    model: str | None = None
    input: str | Ids | Texts | Annotated[list[Ids], Field(min_length=1, max_length=2048)]
    """A text, ids, or a list of either."""
    encoding_format: Literal["float", "base64"] = "float"
    """base64 is little-endian float32."""
    pooling: Pooling = "mean"
    """Mean over all positions, or the last one."""
    user: str | None = None
    """Who asks, for the log."""

    def texts(self) -> list[str | list[int]]:
        """Each text, or its ids."""
        given = self.input
        if isinstance(given, str):
            return [given]
        return [given] if isinstance(given[0], int) else list(given)  # pyright: ignore[reportReturnType]


class Calibration(Shape):
    """What a choice is worth whatever the text says, to be taken off."""

    prior: str
    """A text without content of its own, such as the same prompt with N/A in the place of what differs."""


class ScoreBody(Body):
    """How well each of some continuations fits a text."""

    model: str | None = None
    text: Annotated[str, Field(min_length=1)]
    """What they go on from; special tokens in it are read as such."""
    choices: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=256)]
    """Texts that differ, joined to the text without anything between."""
    normalise: Literal["none", "tokens", "characters", "bytes"] = "none"
    """What log-likelihoods are divided by before shares are made of them."""
    calibration: Calibration | None = None
    """Take off what each choice has after another text: contextual calibration, https://arxiv.org/abs/2102.09690"""


class ClassifyBody(Body):
    """Texts to be sorted into classes: by what a model would go on with, for which nothing is trained; or, without
    labels, by the head of one that was trained to (objective classify, regress)."""

    model: str | None = None
    input: str | Texts
    """A text or several."""
    labels: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=2, max_length=256)] | None = None
    """Names of the classes, as the model would write them; without, its head has them."""
    template: str = "{text}\nLabel:"
    """What stands before the class; {text} is the text, once."""
    separator: str = " "
    """Between the template and a class."""
    normalise: Literal["none", "tokens", "characters", "bytes"] = "tokens"
    """As in /v1/score."""
    is_calibrated: bool = True
    """Take off what each class has after the template with N/A for a text."""


class Document(Shape):
    """A text to be ranked."""

    text: str


class RerankBody(Body):
    """Documents to be put in the order of their worth for a query, as Cohere and Jina have it."""

    model: str | None = None
    query: Annotated[str, Field(min_length=1)]
    documents: Annotated[list[str | Document], Field(min_length=1, max_length=1024)]
    top_n: Annotated[int, Field(ge=1)] | None = None
    """How many to tell; None for all."""
    return_documents: bool = False
    """Tell their texts, too."""
    method: Literal["likelihood", "embedding"] = "likelihood"
    """How likely the query is after the document, per token; or the cosine of their embeddings."""
    template: str = "{document}\n\nQuestion:"
    """With likelihood: what stands before the query."""

    def texts(self) -> list[str]:
        """Of the documents."""
        return [one if isinstance(one, str) else one.text for one in self.documents]
