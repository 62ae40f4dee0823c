"""The operator's routes: keys, review, usage, audit, workers; they know nothing of video."""

from __future__ import annotations

import dataclasses
import functools
import time
from typing import Any

from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.server import journal
from misora.server.accounts import keys, ledger
from misora.server.accounts.keys import SCOPES, Caller
from misora.server.api import bodies, shape
from misora.server.api.errors import ApiError, invalid, no_video
from misora.server.api.fields import PROMPT, Field, check, query_integer
from misora.server.api.services import Services
from misora.server.queue import jobs, publishing
from misora.server.store.tables import accounts, audit, videos, workers
from misora.server.store.tables import ledger as entries

NEW_KEY = (
    Field(name="name", kind="text", says="What it is for.", required=True, least=1, most=200),
    Field(name="plan", kind="text", says="The plan of its new account.", most=80),
    Field(name="group", kind="text", says="Revoked together with the others of this group.", most=80),
    Field(name="scopes", kind="texts", says=f"Of {', '.join(SCOPES)}.", least=1, most=3),
    Field(name="account_id", kind="text", says="Another key for this account.", least=1, most=40),
)
ENDING = (
    Field(name="action", kind="choice", says="What to do.", required=True, choices=("revoke", "suspend", "resume", "retire")),
    Field(name="key_id", kind="text", says="The key, or", least=1, most=40),
    Field(name="group", kind="text", says="every key of this group.", least=1, most=80),
)
DECISION = (
    Field(name="decision", kind="choice", says="What was decided.", required=True, choices=("approved", "refused")),
    Field(name="reason", kind="text", says="Why; it stands in the audit log.", most=500),
)
ACCOUNT = (
    Field(name="plan", kind="text", says="The account's plan from now on.", most=80),
    Field(name="state", kind="choice", says="Whether its keys work.", choices=("active", "suspended")),
)
TRIAL = (Field(name="text", kind="text", says="A prompt, a name, any text.", required=True, most=PROMPT),)


async def list_keys(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/keys."""
    return JSONResponse({"object": "list", "data": await run_in_threadpool(keys.listing, services.store)})


async def create_key(services: Services, request: Request, caller: Caller) -> Response:
    """POST /misora/keys: the secret is in the answer and nowhere else."""
    given = check(await bodies.read(request), NEW_KEY)
    plan = given.get("plan", "default")
    if plan not in services.plans:
        raise invalid("plan", f"There is no plan '{plan}' on this server.")
    made = await run_in_threadpool(
        keys.create,
        services.store,
        given["name"],
        plan=plan,
        cohort=given.get("group", ""),
        scopes=" ".join(given.get("scopes", ["generate"])),
        account_id=given.get("account_id"),
    )
    return JSONResponse({"id": made.id, "key": made.secret, "account_id": made.account_id})


async def end_keys(services: Services, request: Request, caller: Caller) -> Response:
    """POST /misora/keys/end: revoke, suspend, resume or retire a key or a group."""
    given = check(await bodies.read(request), ENDING)
    if ("key_id" in given) == ("group" in given):
        raise invalid("key_id", "Give either 'key_id' or 'group'.")
    which: dict[str, Any] = {"key_id": given.get("key_id"), "cohort": given.get("group"), "actor": caller.key_id}
    state = keys.AFTER[given["action"]]
    end = functools.partial(keys.revoke, services.store) if state == "revoked" else functools.partial(keys.change, services.store, state)
    ended = await run_in_threadpool(journal.in_turn, services.files.data, lambda: end(**which), lambda names: journal.ended(state, names))
    return JSONResponse({"changed": ended})


async def review(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/review: what waits for a person."""
    rows = await run_in_threadpool(publishing.waiting, services.store, 100)
    said = await run_in_threadpool(publishing.reasons, services.store, [job.id for job in rows])
    shown = [shape.video(job) | {"account_id": job.account_id, "verb": job.verb, "reports": said.get(job.id, [])} for job in rows]
    return JSONResponse(shape.page(shown, len(rows) == 100))


async def decide(services: Services, request: Request, caller: Caller) -> Response:
    """POST /misora/review/{id}."""
    given = check(await bodies.read(request), DECISION)
    decision, reason = given["decision"], given.get("reason", "")
    name = request.path_params["video_id"]
    deed = lambda: "\0" not in name and publishing.decide(services.store, name, decision, caller.key_id, reason)
    if not await run_in_threadpool(journal.in_turn, services.files.data, deed, lambda done: [{decision: name}] if done else []):
        raise no_video(name)
    return JSONResponse({"id": name, "review": decision})


async def plans(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/plans: the plans of the operator's file, with their limits."""
    rows = [{"name": name} | dataclasses.asdict(services.plans[name]) for name in services.plans.names()]
    return JSONResponse({"object": "list", "data": rows})


async def list_accounts(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/accounts: who there is, and on which plan."""
    rows = await run_in_threadpool(_rows, services, select(accounts).order_by(accounts.c.created_at, accounts.c.id))
    return JSONResponse({"object": "list", "data": rows})


async def change_account(services: Services, request: Request, caller: Caller) -> Response:
    """POST /misora/accounts/{id}: another plan, suspended, active again."""
    given, name = check(await bodies.read(request), ACCOUNT), request.path_params["account_id"]
    if not given:
        raise invalid("plan", "Give a 'plan' or a 'state'.", "missing_required_parameter")
    if given.get("plan", "default") not in services.plans:
        raise invalid("plan", f"There is no plan '{given['plan']}' on this server.")
    deed = lambda: keys.change_account(services.store, name, given, caller.key_id) if "\0" not in name else None
    row = await run_in_threadpool(journal.in_turn, services.files.data, deed, lambda row: journal.account_changed(name, row, given))
    if row is None:
        raise ApiError(404, f"Account with id '{name[:100]}' not found.", param="account_id")
    return JSONResponse(row)


async def try_policy(services: Services, request: Request, caller: Caller) -> Response:
    """POST /misora/policy: what the policy says of a text, by which rule and in what time."""
    text, begun = check(await bodies.read(request), TRIAL)["text"], time.perf_counter()
    verdict = await run_in_threadpool(services.guard.check, [text])
    took = round((time.perf_counter() - begun) * 1000, 2)
    return JSONResponse(dataclasses.asdict(verdict) | {"unchecked": list(services.guard.unchecked), "milliseconds": took})


async def review_content(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/review/{id}/content: the file, also while it waits."""
    from misora.server.api import content

    name, variant = request.path_params["video_id"], request.query_params.get("variant", "video")
    job = await run_in_threadpool(jobs.get, services.store, name) if "\0" not in name else None
    if job is None or job.folder is None or variant not in content.VARIANTS:
        raise no_video(name)
    return await content.send(services, request, job, variant, caller.key_id)


async def usage(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/usage: one's own seconds this month, and for an operator everybody's."""
    return JSONResponse(await run_in_threadpool(_usage, services, caller))


def _usage(services: Services, caller: Caller) -> dict[str, Any]:
    everyone = (
        select(entries.c.account_id, func.sum(entries.c.seconds)).where(entries.c.month == ledger.month()).group_by(entries.c.account_id)
    )
    with services.store.read() as db:
        mine = ledger.used(db, caller.account_id)
        rows = [{"account_id": row[0], "seconds": float(row[1])} for row in db.execute(everyone)] if "admin" in caller.scopes else []
    limit = services.plans[caller.plan].seconds_per_month
    return {"month": ledger.month(), "seconds": mine, "limit": limit or None, "plan": caller.plan, "accounts": rows}


async def audit_log(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/audit: newest first; ``before`` is the number of the last line of the page before."""
    before = query_integer(request.query_params.get("before"), "before", 2**62, 0, 2**62)
    limit = query_integer(request.query_params.get("limit"), "limit", 100, 1, 1000)
    query = select(audit).where(audit.c.seq < before).order_by(audit.c.seq.desc()).limit(limit)
    return JSONResponse({"object": "list", "data": await run_in_threadpool(_rows, services, query)})


async def list_workers(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/workers: who works on what, and how much waits."""
    rows = await run_in_threadpool(_rows, services, select(workers).where(workers.c.seen_at > time.time() - 60))
    return JSONResponse({"object": "list", "data": rows, "jobs": await run_in_threadpool(jobs.counts, services.store)})


def _rows(services: Services, query: Any) -> list[dict[str, Any]]:
    with services.store.read() as db:
        return [dict(row) for row in db.execute(query).mappings()]


async def metrics(services: Services, request: Request, caller: Caller) -> Response:
    """GET /metrics, for Prometheus."""
    from prometheus_client import CONTENT_TYPE_LATEST

    text = await run_in_threadpool(_metrics, services)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _metrics(services: Services) -> bytes:
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    gauge = Gauge("misora_jobs", "Jobs that wait, run, or ended, by status.", ["status"], registry=registry)
    with services.store.read() as db:
        ended = db.execute(select(videos.c.status, func.count()).group_by(videos.c.status)).all()
        alive = db.execute(select(func.count()).select_from(workers).where(workers.c.seen_at > time.time() - 60)).scalar_one()
    for status, count in ended:
        gauge.labels(status).set(count)
    Gauge("misora_workers", "Worker processes heard of within a minute.", registry=registry).set(alive)
    alerts = Gauge("misora_alerts", "Alerts since the start, by kind.", ["kind"], registry=registry)
    for kind, count in services.alerts.items():
        alerts.labels(kind).set(count)
    answers = Gauge("misora_requests", "Requests answered since the start, by method and status.", ["method", "status"], registry=registry)
    for (method, status), count in services.answered.items():
        answers.labels(method, str(status)).set(count)
    return generate_latest(registry)
