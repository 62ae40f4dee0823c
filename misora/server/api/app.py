"""The web application: routes, request ids, one error shape for everything that goes wrong; it knows nothing of workers."""

from __future__ import annotations

import calendar
import errno
import logging
import secrets
import time
from typing import Any, cast

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from misora.client.errors import MisoraError
from misora.media.limits import LIMITS
from misora.server.api import admin, bodies, health, pages, routes
from misora.server.api.auth import guarded
from misora.server.api.errors import ApiError, body_of, invalid
from misora.server.api.routes import ROUTES
from misora.server.api.services import Services
from misora.server.files import DiskFullError
from misora.server.queue.jobs import RefusedOrderError, ReusedKeyError
from misora.server.store.database import StoreFullError

BODY_BYTES = LIMITS.file_bytes + 40_000_000
log = logging.getLogger("misora.server")


def build(services: Services, lifespan: Any = None) -> ASGIApp:
    """The application around ``services``."""
    by_path: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        answer = guarded(services, route.handler, route.scope) if route.handler else _open(services, route)
        by_path.setdefault(f"/v1{route.path}", {})[route.method] = answer
    by_path["/metrics"] = {"GET": guarded(services, admin.metrics, "admin")}
    made = [Route(path, _by_method(methods), methods=list(methods)) for path, methods in by_path.items()]
    handlers: dict[Any, Any] = {HTTPException: _http_error, SQLAlchemyError: _store_error, MisoraError: _any_error, Exception: _any_error}
    app = Starlette(routes=[*made, *health.routes(services), *pages.routes()], exception_handlers=handlers, lifespan=lifespan)
    app.router.redirect_slashes = False
    return Gate(app, services)


def _open(services: Services, route: routes.Route) -> Any:
    async def endpoint(request: Request) -> Response:
        assert route.open is not None
        try:
            return await route.open(services, request)
        finally:
            await bodies.close(request)

    return endpoint


def _by_method(methods: dict[str, Any]) -> Any:
    async def endpoint(request: Request) -> Response:
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        assert handler is not None
        for name, value in request.query_params.items():
            if "\0" in value:  # PostgreSQL cannot even be asked
                raise invalid(name[:100], f"Invalid value for '{name[:100]}': it holds NUL, which is no text.")
        return cast(Response, await handler(request))

    return endpoint


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"({request.method} {request.url.path[:200]})"
    messages = {404: f"Invalid URL {where}", 405: f"Not allowed to {request.method} here {where}"}
    return JSONResponse(body_of(error.status_code, messages.get(error.status_code, error.detail)), error.status_code, error.headers)


async def _any_error(request: Request, error: Exception) -> Response:
    return _as_api_error(error).response()


def _as_api_error(error: Exception) -> ApiError:
    match error:
        case ApiError():
            return error
        case DiskFullError() | StoreFullError():
            return _full(str(error))
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):  # a form's own temporary files
            return _full("The server's disk is full; nothing new is taken until space is freed.")
        case ReusedKeyError():
            return ApiError(400, str(error), param="Idempotency-Key", code="idempotency_key_reused")
        case RefusedOrderError():
            spent = "month" in str(error)
            headers = {"retry-after": str(_to_next_month()), "x-should-retry": "false"} if spent else {"retry-after": "5"}
            code = "insufficient_quota" if spent else None
            return ApiError(429, str(error), kind="video_generation_user_error", code=code, headers=headers)
        case MisoraError():
            return ApiError(400, str(error))
    return ApiError(500, "The server had an error while processing your request.", kind="server_error", code="internal_error")


def _to_next_month() -> int:
    """Seconds until the ledger begins a new page, at most (UTC)."""
    now = time.gmtime()
    begins = (now.tm_year + now.tm_mon // 12, now.tm_mon % 12 + 1, 1, 0, 0, 0)
    return calendar.timegm(begins) - calendar.timegm(now) + 1


def _full(message: str) -> ApiError:
    headers = {"retry-after": "60", "x-should-retry": "false"}
    return ApiError(507, message, kind="server_error", code="insufficient_storage", headers=headers)


async def _store_error(request: Request, error: Exception) -> Response:
    log.error("database: %s", type(error).__name__)
    message = "The server's database could not be asked; try again shortly."
    return ApiError(503, message, kind="server_error", code="database_unavailable", headers={"retry-after": "1"}).response()


class Gate:
    """Around every request: an id, a ceiling on the body, the time it took, one line of log, and a 500 in the API's shape."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self.app, self.services = app, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, request_id, state = time.monotonic(), f"req_{secrets.token_hex(16)}", {"status": 0, "bytes": 0}
        scope.setdefault("state", {})["request_id"] = request_id

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                state["status"] = message["status"]
                took = str(round((time.monotonic() - begun) * 1000))
                extra = {"x-request-id": request_id, "openai-processing-ms": took, "openai-version": "2020-10-01"}
                extra |= scope["state"].get("told", {})
                message["headers"] = [*message["headers"], *((name.encode(), value.encode()) for name, value in extra.items())]
            await send(message)

        async def receiving() -> Message:
            message = await receive()
            state["bytes"] += len(message.get("body", b""))
            if state["bytes"] > BODY_BYTES:
                raise ApiError(413, f"The request has more than {BODY_BYTES:,} bytes.", code="too_large")
            return message

        try:
            await self.app(scope, receiving, sending)
        except ConnectionAbortedError:
            log.warning("cut off", extra={"request_id": request_id})  # on purpose: returning early ends the connection without a proper end
        except Exception as error:
            log.exception("request failed", extra={"request_id": request_id})
            if not state["status"]:
                await _as_api_error(error).response()(scope, receive, sending)
        finally:
            self.services.answered[scope["method"], state["status"]] += 1
            key_id = scope["state"].get("key_id")
            fields = {"method": scope["method"], "path": scope["path"], "status": state["status"], "request_id": request_id, "key": key_id}
            log.info("request", extra=fields | {"ms": round((time.monotonic() - begun) * 1000)})
