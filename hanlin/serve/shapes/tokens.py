"""Bodies of /tokenize and /detokenize, as vLLM has them."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from hanlin.serve.shapes.body import Body
from hanlin.serve.shapes.chat import Turn


class TokenizeBody(Body):
    """A text, or a conversation, whose tokens are asked for."""

    model: str | None = None
    prompt: str | None = None
    """A text; special tokens spelled in it are read as such."""
    messages: Annotated[list[Turn], Field(min_length=1)] | None = None
    """A conversation, put through the chat template."""
    tools: list[dict[str, Any]] | None = None
    """With messages."""
    add_special_tokens: bool = True
    """Of a prompt: whether it gets what the tokenizer adds, such as BOS."""
    add_generation_prompt: bool = True
    """Of messages: whether the answer is opened."""
    return_token_strs: bool = False
    """Also tell the text of each token."""

    @model_validator(mode="after")
    def _one(self) -> "TokenizeBody":
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("send either prompt or messages")
        return self


class DetokenizeBody(Body):
    """Ids whose text is asked for."""

    model: str | None = None
    tokens: list[Annotated[int, Field(ge=0)]]
