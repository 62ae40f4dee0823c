"""Signing in from a browser: a key becomes a signed cookie that scripts cannot read; it knows nothing of pages.

The cookie names the key and says until when; it holds no secret of the key and is worth nothing once the key is revoked. Whatever changes
something must also carry a token in a header, which only a page of this server can read: so no other site can act in one's name.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from misora.server.accounts import keys
from misora.server.accounts.keys import Caller
from misora.server.api import bodies
from misora.server.api.errors import ApiError
from misora.server.api.fields import Field, check
from misora.server.api.services import Services
from misora.server.api.studio import facts
from misora.server.queue import library
from misora.server.store.tables import keys as keys_table

COOKIE, TOKEN = "misora_session", "x-misora-csrf"
SECONDS = 14 * 24 * 3600
TRIES_PER_MINUTE = 30  # of signing in, from one address
LOOK = 0.4  # seconds between two looks at the key and the jobs
KEY = (Field(name="key", kind="text", says="The API key.", required=True, least=1, most=300),)


async def sign_in(services: Services, request: Request) -> Response:
    """POST /misora/session: turn a key into a session cookie."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "Send the key as application/json.", code="unsupported_media_type")  # a foreign page's form cannot
    who = request.client.host if request.client else "nobody"
    rate = services.rates.take(f"session {who}", TRIES_PER_MINUTE)
    if not rate.allowed:
        message = f"Too many tries from this address; try again in {rate.wait:.0f} s."
        raise ApiError(429, message, kind="requests", code="rate_limit_exceeded", headers=rate.headers())
    secret = check(await bodies.read(request, small=True), KEY)["key"].strip()
    caller = await run_in_threadpool(keys.check, services.store, secret)
    if caller is None:
        raise ApiError(401, "This is no working key of this server; ask its operator for one.", code="invalid_api_key")
    until = int(time.time()) + SECONDS
    body = f"{caller.key_id}.{until}.{secrets.token_hex(8)}"
    cookie = f"{body}.{services.secret.sign(body, use='session')}"
    response = JSONResponse(await run_in_threadpool(_described, services, caller, cookie))
    response.set_cookie(COOKIE, cookie, max_age=SECONDS, path="/", secure=request.url.scheme == "https", httponly=True, samesite="strict")
    return response


async def describe(services: Services, request: Request) -> Response:
    """GET /misora/session: who is signed in, and the token for changes; 200 also when nobody is."""
    caller = await run_in_threadpool(caller_of, services, request)
    headers = {"cache-control": "no-store"}
    if caller is None:
        return JSONResponse({"signed_in": False}, headers=headers)
    return JSONResponse(await run_in_threadpool(_described, services, caller, request.cookies[COOKIE]), headers=headers)


async def sign_out(services: Services, request: Request) -> Response:
    """DELETE /misora/session."""
    response = JSONResponse({"signed_in": False})
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


def caller_of(services: Services, request: Request) -> Caller | None:
    """The caller whom the cookie names, looked up anew; None without one that holds."""
    parts = request.cookies.get(COOKIE, "").split(".")
    if len(parts) != 4 or not services.secret.signed(".".join(parts[:3]), parts[3], use="session"):
        return None
    return keys.named(services.store, parts[0]) if int(parts[1]) > time.time() else None


def may_change(services: Services, request: Request) -> bool:
    """Whether a request with a cookie comes from a page of this server, or only looks."""
    if request.method in ("GET", "HEAD"):
        return True
    return services.secret.signed(request.cookies.get(COOKIE, ""), request.headers.get(TOKEN, ""), use="csrf")


def _described(services: Services, caller: Caller, cookie: str) -> dict[str, Any]:
    with services.store.read() as db:
        name = db.execute(select(keys_table.c.name).where(keys_table.c.id == caller.key_id)).scalar_one()
    known = {"signed_in": True, "key_id": caller.key_id, "name": name, "account_id": caller.account_id, "plan": caller.plan}
    return known | {"scopes": sorted(caller.scopes), "token": services.secret.sign(cookie, use="csrf")}


async def events(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/session/events: the unfinished videos of the account whenever one changes, and the end of the key within a second."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    if request.method == "HEAD":
        return Response(media_type="text/event-stream", headers=headers)
    return StreamingResponse(_stream(services, caller), media_type="text/event-stream", headers=headers)


async def _stream(services: Services, caller: Caller) -> AsyncIterator[str]:
    begun, said, spoke = int(time.time()), "", time.monotonic()
    yield "retry: 1000\n\n"
    while not services.draining:
        if not await run_in_threadpool(keys.working, services.store, caller.key_id):
            yield 'event: end\ndata: {"code": "key_ended"}\n\n'
            return
        told = await run_in_threadpool(_moving, services, caller, begun)
        if told != said:
            said, spoke = told, time.monotonic()
            yield f"event: videos\ndata: {told}\n\n"
        elif time.monotonic() - spoke > 15:
            spoke = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(LOOK)


def _moving(services: Services, caller: Caller, since: int) -> str:
    found = library.moving(services.store, caller.account_id, since=since, limit=30)
    return json.dumps({"data": [facts(services, job) for job in found]})
