"""Who asks: the key of a request, its scope, its rate; it knows nothing of what is asked for."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from misora.server.accounts import keys
from misora.server.accounts.keys import Caller
from misora.server.api import bodies, session
from misora.server.api.errors import ApiError, not_allowed
from misora.server.api.services import Services

log = logging.getLogger("misora.server")
LOOKS = 20  # times as often as its plan says may a signed-in page look at things, apart from what it does
Handler = Callable[[Services, Request, Caller], Awaitable[Response]]


def guarded(services: Services, handler: Handler, scope: str) -> Callable[[Request], Awaitable[Response]]:
    """The handler for callers with a working key that has ``scope``; the key is looked up anew at every request."""

    async def endpoint(request: Request) -> Response:
        caller = await caller_of(services, request)
        if scope not in caller.scopes and "admin" not in caller.scopes:
            raise not_allowed(scope)
        _count(services, caller, request)
        try:
            return await handler(services, request, caller)
        finally:
            await bodies.close(request)

    return endpoint


async def caller_of(services: Services, request: Request) -> Caller:
    """Whose key or session a request carries. Raises ApiError."""
    caller = await _caller(services, request)
    address = request.client.host if request.client else ""
    if (count := services.addresses.seen(caller.key_id, address)) is not None:
        await run_in_threadpool(_alert, services, caller.key_id, count)
    return caller


def _alert(services: Services, key_id: str, count: int) -> None:
    """Tell the operator that a key may have leaked."""
    log.warning("key used from many addresses", extra={"key": key_id, "addresses": count})
    services.alerts["many_addresses"] += 1
    with services.store.write() as db:
        keys.note(db, "system", "key.many_addresses", key_id, {"addresses": count})


async def _caller(services: Services, request: Request) -> Caller:
    if "authorization" not in request.headers and session.COOKIE in request.cookies:
        return await _signed_in(services, request)
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        message = "You did not provide an API key. Send it in the header: Authorization: Bearer YOUR_KEY."
        raise ApiError(401, message, code="missing_api_key", headers={"www-authenticate": "Bearer"})
    caller = await run_in_threadpool(keys.check, services.store, secret.strip())
    if caller is None:
        shown = secret.strip()
        hidden = (
            f"{shown[:7]}…{shown[-4:]}" if len(shown) >= 24 and shown.isascii() and shown.isprintable() else "it is no key of this server"
        )
        message = f"Incorrect API key provided: {hidden}. You can find your API key with the operator of this server (misora keys list)."
        raise ApiError(401, message, code="invalid_api_key", headers={"www-authenticate": "Bearer"})
    request.state.key_id = caller.key_id
    return caller


async def _signed_in(services: Services, request: Request) -> Caller:
    caller = await run_in_threadpool(session.caller_of, services, request)
    if caller is None:
        raise ApiError(401, "You are signed out, or your key was ended by the operator of this server.", code="session_ended")
    if not session.may_change(services, request):
        raise ApiError(403, f"A page must send its session's token in the header {session.TOKEN}; reload it.", code="csrf")
    request.state.key_id = caller.key_id
    return caller


def _count(services: Services, caller: Caller, request: Request) -> None:
    """Hold a request to the plan's rate, which every answer then tells, also one that refuses."""
    request.state.told = {"openai-organization": caller.account_id}
    per_minute = services.plans[caller.plan].requests_per_minute
    if not per_minute:
        return
    if "authorization" not in request.headers and request.method in ("GET", "HEAD"):  # a page shows many pictures at once
        per_minute, who = per_minute * LOOKS, f"look {caller.account_id}"
    else:
        who = caller.account_id
    rate = services.rates.take(who, per_minute)
    request.state.told |= rate.headers()
    if not rate.allowed:
        message = f"Rate limit reached: your plan allows {per_minute} requests per minute. Try again in {rate.wait:.1f} s."
        raise ApiError(429, message, kind="requests", code="rate_limit_exceeded")
