"""Webhook endpoints: made, listed, changed, tried; they know nothing of when events happen."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.server import webhooks
from misora.server.accounts.keys import Caller
from misora.server.api import bodies, lists, shape
from misora.server.api.errors import ApiError, invalid
from misora.server.api.fields import Field, check, plain_text, query_integer
from misora.server.api.services import Services
from misora.server.fetch import FetchError, leads_inside
from misora.server.journal import in_turn, remember, rotated
from misora.server.queue.hooks import EVENTS, body
from misora.server.queue.job import new_id
from misora.server.store import places
from misora.server.store.tables import endpoints

DAY = 24 * 3600
MOST = 20  # endpoints of an account
ELSEWHERE = ("batch.", "response.", "eval.run.", "fine_tuning.job.", "realtime.call.", "agent.", "safety.")  # the SDK's; never sent here
KEEP_OLD = Field(name="keep_old_secret_active_for_24_hours", kind="flag", says="Whether both secrets sign for a day.")
NAMES = (
    Field(name="name", kind="text", says="What it is for.", least=1, most=200),
    Field(name="url", kind="text", says="Where to: https.", least=1, most=2000),
)
TYPES = Field(name="event_types", kind="texts", says="Which events: video.completed, video.failed.", least=1, most=40)
ENDPOINT = tuple(Field(**(vars(each) | {"required": True})) for each in (*NAMES, TYPES))
CHANGES = (*NAMES, TYPES)
TRY = (Field(name="event_type", kind="text", says="The event to send.", required=True, least=1, most=80),)


async def _checked(services: Services, given: dict[str, Any]) -> dict[str, Any]:
    url, private = given.get("url"), services.settings.private_webhooks
    if url is not None and not url.startswith("https://") and not (private and url.startswith("http://")):
        raise invalid("url", "The address must begin with https://.")
    try:
        if url is not None and await leads_inside(url) and not private:
            raise invalid("url", "The address leads to a private network; give a public one.")
    except FetchError as error:
        raise invalid("url", str(error)) from None
    for event in given.get("event_types", ()):
        if event not in EVENTS and not event.startswith(ELSEWHERE):
            raise invalid("event_types", f"Invalid value: '{event}'. Supported values are: {', '.join(map(repr, EVENTS))}.")
    if "name" in given:
        plain_text(given["name"], "name", 1, 200)
    return given


def _shown(row: Any) -> dict[str, Any]:
    kept = {name: row[name] for name in ("id", "created_at", "event_types", "name", "url", "updated_at")}
    return kept | {"object": "webhook_endpoint", "signing_secret_hint": None}


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


async def create(services: Services, request: Request, caller: Caller) -> Response:
    """POST /webhook_endpoints."""
    given = await _checked(services, check(await bodies.read(request), ENDPOINT))
    return JSONResponse(await run_in_threadpool(_create, services, caller, given))


def _create(services: Services, caller: Caller, given: dict[str, Any]) -> dict[str, Any]:
    now, secret = int(time.time()), _new_secret()
    row = {
        "id": new_id("we"),
        "account_id": caller.account_id,
        "created_at": now,
        "updated_at": now,
        "secret": services.secret.seal(secret),
    }
    with services.store.write() as db:
        if len(db.execute(select(endpoints.c.id).where(endpoints.c.account_id == caller.account_id)).all()) >= MOST:
            raise ApiError(400, f"An account may have {MOST} endpoints; delete one first.", code="too_many")
        db.execute(endpoints.insert().values(**row, **given))
    return _shown(row | given) | {"signing_secret": secret}


async def listing(services: Services, request: Request, caller: Caller) -> Response:
    """GET /webhook_endpoints: newest first."""
    limit = query_integer(request.query_params.get("limit"), "limit", 20, 1, 100)
    return JSONResponse(await run_in_threadpool(_page, services, caller, request.query_params, limit))


def _page(services: Services, caller: Caller, query: Mapping[str, str], limit: int) -> dict[str, Any]:
    rows = [dict(row) for row in _rows(services, caller)]
    return shape.cut([_shown(row) for row in lists.behind(services, endpoints, caller, query, rows, "webhook endpoint")], limit)


def _rows(services: Services, caller: Caller) -> list[Any]:
    with services.store.read() as db:
        return list(db.execute(select(endpoints).where(endpoints.c.account_id == caller.account_id)).mappings().all())


async def _owned(services: Services, request: Request, caller: Caller) -> Any:
    name = request.path_params["endpoint_id"]
    for row in await run_in_threadpool(_rows, services, caller):
        if row["id"] == name:
            return row
    raise ApiError(404, f"Webhook endpoint with id '{name[:100]}' not found.", param="webhook_endpoint_id")


async def retrieve(services: Services, request: Request, caller: Caller) -> Response:
    """GET /webhook_endpoints/{id}."""
    return JSONResponse(_shown(await _owned(services, request, caller)))


async def change(services: Services, request: Request, caller: Caller) -> Response:
    """POST /webhook_endpoints/{id}."""
    row = await _owned(services, request, caller)
    given = await _checked(services, check(await bodies.read(request), CHANGES))
    return JSONResponse(_shown(await run_in_threadpool(_change, services, row, given)))


def _change(services: Services, row: Any, given: dict[str, Any]) -> dict[str, Any]:
    values = given | {"updated_at": int(time.time())} if given else {}
    if values:
        with services.store.write() as db:
            db.execute(update(endpoints).where(endpoints.c.id == row["id"]).values(**values))
    return dict(row) | values


async def delete(services: Services, request: Request, caller: Caller) -> Response:
    """DELETE /webhook_endpoints/{id}."""
    row = await _owned(services, request, caller)
    await run_in_threadpool(_delete, services, row["id"])
    return JSONResponse({"id": row["id"], "object": "webhook_endpoint.deleted", "deleted": True})


def _delete(services: Services, name: str) -> None:
    with services.store.write() as db:
        places.leave(db, endpoints, [name])
    remember(services.files.data, [{"endpoint": name}])


async def rotate(services: Services, request: Request, caller: Caller) -> Response:
    """POST /webhook_endpoints/{id}/rotate_secret."""
    row = await _owned(services, request, caller)
    keep = check(await bodies.read(request, empty=True), (KEEP_OLD,)).get(KEEP_OLD.name, False)
    secret = _new_secret()
    values: dict[str, Any] = {"secret": services.secret.seal(secret), "old_secret": row["secret"] if keep else None}
    values["old_until"] = int(time.time()) + DAY if keep else None
    deed = lambda: _change(services, row, values)
    changed = await run_in_threadpool(in_turn, services.files.data, deed, lambda done: rotated(row["id"], values))
    return JSONResponse(_shown(changed) | {"signing_secret": secret})


async def test(services: Services, request: Request, caller: Caller) -> Response:
    """POST /webhook_endpoints/{id}/test."""
    row = await _owned(services, request, caller)
    event = check(await bodies.read(request), TRY)["event_type"]
    if event not in EVENTS:
        raise invalid("event_type", f"Invalid value: '{event[:80]}'. Supported values are: {', '.join(map(repr, EVENTS))}.")
    made = body(event, "video_" + "0" * 32)
    try:
        status = await run_in_threadpool(
            webhooks.send,
            row["url"],
            [services.secret.open(row["secret"])],
            made["id"],
            json.dumps(made),
            private=services.settings.private_webhooks,
        )
    except FetchError as error:
        raise ApiError(400, str(error), param="url", code="endpoint_unreachable") from None
    found = {"object": "webhook_endpoint.test", "webhook_endpoint_id": row["id"], "event_type": event}
    return JSONResponse(found | {"status_code": status, "success": True})


async def event_types(services: Services, request: Request, caller: Caller) -> Response:
    """GET /webhook_event_types."""
    return JSONResponse({"object": "list", "data": list(EVENTS)})
