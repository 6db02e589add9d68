"""Errors as HTTP: one of ours, or what the framework raises, in; OpenAI's error JSON out."""

from typing import Any

from hanlin.core.errors import CapacityError, ConfigError, HanlinError, StoreError


class FieldError(ConfigError):
    """A field of a request is wrong, unknown or not honoured."""

    def __init__(self, param: str, what: str, fix: str = "") -> None:
        super().__init__(what, fix)
        self.param = param


class TooLongError(CapacityError):
    """Prompt and answer exceed the context window."""


class BusyError(CapacityError):
    """There is no room now; there will be."""

    def __init__(self, what: str, fix: str, seconds: int, status: int = 429) -> None:
        super().__init__(what, fix)
        self.seconds, self.status = seconds, status


class ClosedError(BusyError):
    """The model is being let go of, or the server is ending: nothing more is computed."""

    def __init__(self) -> None:
        super().__init__("the model was let go of before the answer was whole", "ask again", seconds=1, status=503)


class FailedError(HanlinError):
    """Something of ours failed while a request was computed."""

    def __init__(self) -> None:
        super().__init__("a bug of ours ended this answer", "ask again; the server's log has what happened")


class UpstreamError(HanlinError):
    """Another server that computes for us failed."""

    def __init__(self, what: str, fix: str = "ask again; if it goes on, look into its log") -> None:
        super().__init__(what, fix)


class BodyError(ConfigError):
    """A body that is not read."""

    def __init__(self, status: int, what: str, fix: str) -> None:
        super().__init__(what, fix)
        self.status = status


class UnknownModelError(StoreError):
    """No model of that name is served."""


class GoneError(HanlinError):
    """What a path names is not there."""


def status(error: HanlinError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, BusyError | BodyError):
        return error.status
    if isinstance(error, UnknownModelError | GoneError):
        return 404
    if isinstance(error, UpstreamError):
        return 502
    if isinstance(error, StoreError | FailedError):
        return 500
    return 400


def kind(error: HanlinError) -> tuple[str, str | None]:
    """OpenAI's `type` and `code`."""
    if isinstance(error, BusyError):
        return ("rate_limit_error", "rate_limit_exceeded") if error.status == 429 else ("server_error", "overloaded")
    if isinstance(error, TooLongError):
        return "invalid_request_error", "context_length_exceeded"
    if isinstance(error, UnknownModelError):
        return "invalid_request_error", "model_not_found"
    if isinstance(error, GoneError):
        return "invalid_request_error", "not_found"
    if isinstance(error, UpstreamError):
        return "server_error", "upstream_failed"
    if isinstance(error, FieldError):
        return "invalid_request_error", "invalid_field"
    return ("server_error", None) if status(error) >= 500 else ("invalid_request_error", None)


def as_json(error: HanlinError) -> dict[str, Any]:
    """`{"error": {…}}`; the fix is part of the message and stands by itself, too."""
    what, code = kind(error)
    message = f"{error.what}. Fix: {error.fix}" if error.fix else error.what
    param = error.param if isinstance(error, FieldError) else None
    return {"error": {"message": message, "type": what, "param": param, "code": code, "fix": error.fix or None}}


def plain(status_code: int, message: str, code: str | None = None) -> dict[str, Any]:
    """The same for what is none of our errors."""
    what = "server_error" if status_code >= 500 else "invalid_request_error"
    if status_code in (401, 403):
        what = "authentication_error" if status_code == 401 else "permission_error"
    return {"error": {"message": message, "type": what, "param": None, "code": code, "fix": None}}
