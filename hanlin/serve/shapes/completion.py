"""The body of /v1/completions: https://platform.openai.com/docs/api-reference/completions/create"""

from typing import Annotated, ClassVar

from pydantic import Field

from hanlin.serve.errors import FieldError
from hanlin.serve.shapes.choosing import Choosing

Ids = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class CompletionBody(Choosing):
    """A text, or several, to go on from."""

    refused: ClassVar[dict[str, str]] = {"suffix": "answers go on from a prompt, they do not fill a gap"}
    prompt: str | Ids | Annotated[list[str], Field(min_length=1)] | Annotated[list[Ids], Field(min_length=1)]
    """A text, token ids, or a list of either."""
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    """Most tokens of an answer, 16 by default; 0 only with echo."""
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """Tell log-probabilities, with so many likeliest tokens at each place."""
    echo: bool | None = None
    """Begin with the prompt; with logprobs also with the prompt's."""
    best_of: Annotated[int, Field(ge=1)] | None = None
    """Only the same as n: nothing is made and thrown away."""
    add_special_tokens: bool = True
    """Whether a text gets the tokens that the model's tokenizer adds, such as BOS."""

    def check(self) -> None:
        """What fields mean together.

        Raises:
            FieldError: best_of is not n, or max_tokens is 0 without echo.
        """
        if self.best_of is not None and self.best_of != (self.n or 1):
            raise FieldError("best_of", f"best_of = {self.best_of} and n = {self.n or 1}", "leave best_of out")
        if self.max_tokens == 0 and not self.echo:
            raise FieldError("max_tokens", "max_tokens = 0 without echo asks for nothing", 'send "echo": true')

    def prompts(self) -> list[str | list[int]]:
        """Each prompt, a text or ids."""
        prompt = self.prompt
        if isinstance(prompt, str):
            return [prompt]
        return [prompt] if isinstance(prompt[0], int) else list(prompt)  # pyright: ignore[reportReturnType]
