"""The fields by which a client says how answers are chosen, common to all endpoints that generate."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from hanlin.core.errors import HanlinError, shown
from hanlin.core.settings import parse
from hanlin.infer import constraint as constraints
from hanlin.infer.constraint import Constraint
from hanlin.infer.sampling import Sampling
from hanlin.serve.errors import FieldError, TooLongError
from hanlin.serve.shapes.body import Body, Shape

OWN = (
    "top_k min_p typical_p repetition_penalty dry_multiplier dry_base dry_allowed_length dry_sequence_breakers "
    "dry_penalty_last_n xtc_probability xtc_threshold allowed_tokens banned_tokens min_tokens overflow"
).split()
"""Fields of `Sampling` that OpenAI's API has not; they have the same names here."""


class Schema(Shape):
    """A JSON schema with its name."""

    name: str = "answer"
    """What it is called."""
    description: str | None = None
    """For the model's eyes only where a template shows it; it is not enforced."""
    schema_: dict[str, Any] | bool = Field(default=True, alias="schema")
    """The schema, draft 2020-12."""
    strict: bool | None = None
    """Always so here: answers are held to the schema."""


class Format(Shape):
    """What an answer must be."""

    type: Literal["text", "json_object", "json_schema", "regex", "grammar"]
    """`regex` and `grammar` (Lark) are ours."""
    json_schema: Schema | None = None
    """With type json_schema."""
    regex: str | None = None
    """With type regex."""
    grammar: str | None = None
    """With type grammar."""

    def constraint(self) -> Constraint | None:
        """As generation takes it.

        Raises:
            FieldError: what the type needs is not there, or cannot be enforced.
        """
        if self.type == "text":
            return None
        if self.type == "json_object":
            return _named("response_format", lambda: constraints.json_schema({"type": "object"}))
        found = getattr(self, self.type)
        if found is None:
            raise FieldError(f"response_format.{self.type}", f"response_format.{self.type} is missing", "send it")
        make = {
            "json_schema": lambda: constraints.json_schema(found.schema_),
            "regex": lambda: constraints.regex(found),
            "grammar": lambda: constraints.grammar(found),
        }
        return _named(f"response_format.{self.type}", make[self.type])


def _named(param: str, make: Any) -> Constraint:
    try:
        return make()
    except HanlinError as error:
        raise FieldError(param, f"{param}: {error.what}", error.fix) from None


class StreamOptions(Shape):
    """What a stream tells besides the answer."""

    include_usage: bool = False
    """A last chunk with the counts of tokens."""
    include_obfuscation: bool = False
    """Must be false: nothing is added to chunks."""

    @field_validator("include_obfuscation")
    @classmethod
    def _never(cls, value: bool) -> bool:
        if value:
            raise ValueError("chunks are not padded here")
        return value


class Choosing(Body):
    """Fields common to /v1/completions and /v1/chat/completions, with OpenAI's defaults."""

    model: str | None = None
    """Which model; without it the first one served."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """0 takes the likeliest token; 1 by default, as in OpenAI's API."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Draw from the likeliest tokens that together hold this share."""
    n: Annotated[int, Field(ge=1)] | None = None
    """Answers."""
    stop: str | list[str] | None = None
    """End before these texts."""
    seed: int | None = None
    """Where chance starts; a fresh one is told in the answer if there is none."""
    frequency_penalty: float | None = None
    """-2 to 2."""
    presence_penalty: float | None = None
    """-2 to 2."""
    logit_bias: dict[str, float] | None = None
    """Token id → what is added to its logit."""
    stream: bool | None = None
    """Send the answer as it comes."""
    stream_options: StreamOptions | None = None
    """Only with stream."""
    user: str | None = None
    """Who asks, for the log."""
    response_format: Format | None = None
    """What the answer must be."""
    prompt_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """Also tell what the model thinks of the prompt, in vLLM's shape."""
    top_k: int | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float | None = None
    min_tokens: int | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_sequence_breakers: list[str] | None = None
    dry_penalty_last_n: int | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    allowed_tokens: list[int] | None = None
    banned_tokens: list[int] | None = None
    overflow: Literal["error", "slide"] | None = None
    ignore_eos: bool = False
    """Go on to max_tokens: the model may not end its answer."""
    priority: int = Field(default=0, ge=-10, le=10)
    """Higher is computed first."""

    def sampling(self, prompt: int, context: int, wanted: int | None, most: int, max_n: int, **more: Any) -> Sampling:
        """As generation takes it.

        Args:
            prompt: its tokens.
            context: the window of the model.
            wanted: max_tokens, if the client says it; else `most`, or what fits.

        Raises:
            FieldError: a value is out of range.
            TooLongError: prompt and answer exceed the window.
        """
        left = context - prompt
        if self.overflow != "slide" and (left < 1 or (wanted or 1) > left):
            asked = f"{prompt:,} tokens of prompt and {wanted or 1:,} of answer"
            fix = f"ask for at most {left:,}" if left > 0 else f"shorten the prompt by {1 - left:,} tokens"
            raise TooLongError(f"{asked} exceed the context window of {context:,}", fix)
        if (self.n or 1) > max_n:
            raise FieldError("n", f"n = {self.n}: this server makes at most {max_n} answers", "ask for fewer")
        if self.stream_options is not None and not self.stream:
            raise FieldError("stream_options", "stream_options without stream", 'send "stream": true, or leave it out')
        tokens = wanted if wanted is not None else most if self.overflow == "slide" else min(most, left)
        given: dict[str, Any] = {name: getattr(self, name) for name in ("top_p", "n", "stop", *OWN)}
        given |= {"frequency_penalty": self.frequency_penalty, "presence_penalty": self.presence_penalty}
        given |= {"max_tokens": tokens, "temperature": 1.0 if self.temperature is None else self.temperature, **more}
        if self.ignore_eos:
            given["min_tokens"] = tokens
        given["logit_bias"] = {_token(key): value for key, value in (self.logit_bias or {}).items()}
        given["seed"] = None if self.seed is None else self.seed % (1 << 63)
        try:
            return parse(Sampling, {name: value for name, value in given.items() if value is not None})
        except HanlinError as error:
            raise FieldError(error.what.split(" ", 1)[0].split("[", 1)[0], error.what, error.fix) from None


def _token(key: str) -> int:
    if not key.isdecimal():
        raise FieldError("logit_bias", f"logit_bias has the key {shown(key)}", "keys are token ids")
    return int(key)
