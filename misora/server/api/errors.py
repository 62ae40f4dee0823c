"""The API's one error shape and the answers that need it; it knows nothing of routes."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from misora.client.errors import MisoraError

INVALID = "invalid_request_error"


class ApiError(MisoraError):
    """An answer other than 200: status, message, and the three fields that the SDK turns into ``e.type``, ``e.param``, ``e.code``."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        message, param = _sayable(message), param and _sayable(param)
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}

    def response(self) -> JSONResponse:
        """The answer itself."""
        return JSONResponse(self.body, self.status, self.headers)


def _sayable(text: str) -> str:
    """The text without halves of surrogate pairs, which a caller may have sent and no answer can hold."""
    return text.encode("utf-8", "replace").decode()


def invalid(param: str, message: str, code: str = "invalid_value") -> ApiError:
    """400 that names the field."""
    return ApiError(400, message, param=param, code=code)


def wrong_type(param: str, expected: str, value: object) -> ApiError:
    """400 for a value of another kind."""
    names: dict[type, str] = {str: "a string", bool: "a boolean", int: "an integer", float: "a number", list: "an array", dict: "an object"}
    got = "null" if value is None else names.get(type(value), "a file")
    return invalid(param, f"Invalid type for '{param}': expected {expected}, but got {got} instead.", "invalid_type")


def no_video(video_id: str) -> ApiError:
    """404 for a name that is not there, or not the caller's."""
    return ApiError(404, f"Video with id '{video_id[:100]}' not found.", param="video_id", code=None)


def not_allowed(scope: str) -> ApiError:
    """403 for a key without the scope."""
    message = f"This key may not do that: it lacks the scope '{scope}'. Ask the operator for a key that has it."
    return ApiError(403, message, code="missing_scope")


def body_of(status: int, message: str) -> dict[str, Any]:
    """The error shape for answers that no route made."""
    kind = "server_error" if status >= 500 else INVALID
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}
