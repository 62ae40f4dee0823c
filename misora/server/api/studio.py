"""What a studio needs of one's own videos beyond the contract: place in the queue, events, links, publication; it knows no SQL."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from misora.server.accounts import keys
from misora.server.accounts.keys import Caller
from misora.server.api import bodies, content, shape
from misora.server.api.errors import ApiError, invalid, no_video
from misora.server.api.fields import Field, check
from misora.server.api.services import Services
from misora.server.api.videos import owned
from misora.server.journal import in_turn
from misora.server.queue import jobs, publishing, turns
from misora.server.queue.job import RUNNING, Job
from misora.server.queue.library import parents_of

LOOK = 0.4  # seconds between two looks at a job, and at the key that watches it
LINK_SECONDS = 3600
LINK = (
    Field(name="seconds", kind="integer", says="How long the link works.", least=1, most=7 * 24 * 3600),
    Field(name="variant", kind="choice", says="Which file.", choices=tuple(content.VARIANTS)),
)


TUNING = ("seed", "steps", "guidance", "speed", "negative_prompt", "loop", "strength", "backward", "new_seconds", "gap", "trim", "inpaint")
ASKED = (*TUNING, "storyboard", "characters", "input_reference", "last_frame", "reference", "video", "connect", "mask")


async def retrieve(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/videos/{id}: the video with its place in the queue, its stage, its parents and its review."""
    return JSONResponse(await run_in_threadpool(facts, services, await owned(services, request, caller)))


def facts(services: Services, job: Job) -> dict[str, Any]:
    """The video of the contract and what we know beside it."""
    state = {
        "verb": job.verb,
        "stage": job.stage,
        "position": turns.place(services.store, job),
        "attempts": job.attempts,
        "parents": parents_of(job.request, job.remixed_from),
        "started_at": job.started_at,
        "preview": _newest(job),
    }
    shown = {"review": job.review, "published_at": job.published_at, "hidden_at": job.hidden_at, "seed": job.facts.get("seed")}
    shown |= {
        "unchecked": job.facts.get("unchecked", []),
        "notices": job.facts.get("notices", []),  # what was made to fit, and what these weights only come near to
        "asked": {name: _told(job.request[name]) for name in ASKED if name in job.request},
    }
    return shape.video(job) | {"misora": state | shown}


def _told(value: Any) -> Any:
    """A field of a request as it was sent: one's own videos by their names, uploads as null."""
    if isinstance(value, list):
        return [_told(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "file" in value:
        return {"id": value["id"]} if "id" in value else None
    return {name: _told(each) for name, each in value.items()}


def _newest(job: Job) -> int:
    """The number of the newest preview, 0 where there is none now."""
    return int(job.facts.get("preview", 0)) if job.status == RUNNING else 0


async def preview(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/videos/{id}/preview: the newest picture of a video that is being drawn, WebP; 204 where there is none now."""
    job = await owned(services, request, caller)
    number = _newest(job)
    try:
        picture = await run_in_threadpool(services.files.preview(job.id, job.fence, number).read_bytes)
    except OSError:  # not yet, or no more: no fault, and a page that comes a moment late must not show one
        return Response(status_code=204, headers={"cache-control": "no-store"})
    headers = {"cache-control": "private, no-store", "x-misora-preview": str(number), "x-content-type-options": "nosniff"}
    return Response(picture, media_type="image/webp", headers=headers)


async def events(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/videos/{id}/events: every change of the video until it is finished, as server-sent events."""
    job = await owned(services, request, caller)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    if request.method == "HEAD":
        return Response(media_type="text/event-stream", headers=headers)
    return StreamingResponse(_stream(services, job, caller), media_type="text/event-stream", headers=headers)


async def _stream(services: Services, job: Job, caller: Caller) -> AsyncIterator[str]:
    said, spoke = "", time.monotonic()
    while not services.draining:
        now = await run_in_threadpool(jobs.get, services.store, job.id, caller.account_id)
        if now is None or not await run_in_threadpool(keys.working, services.store, caller.key_id):
            yield "event: end\ndata: {}\n\n"
            return
        told = json.dumps(await run_in_threadpool(facts, services, now))
        if told != said:
            said, spoke = told, time.monotonic()
            yield f"event: video\ndata: {told}\n\n"
        elif time.monotonic() - spoke > 15:
            spoke = time.monotonic()
            yield ": still here\n\n"
        if now.finished:
            return
        await asyncio.sleep(LOOK)


async def link(services: Services, request: Request, caller: Caller) -> Response:
    """POST /misora/videos/{id}/link: an address that opens without a header until it expires or the key is revoked."""
    job = await owned(services, request, caller)
    content.check_ready(job)
    given = check(await bodies.read(request), LINK)
    until, variant = int(time.time()) + given.get("seconds", LINK_SECONDS), given.get("variant", "video")
    query = {"until": str(until), "variant": variant, "key": caller.key_id}
    query["signature"] = services.secret.sign(_signed_text(job.id, query))
    base = f"{request.url.scheme}://{request.url.netloc}"
    return JSONResponse({"url": f"{base}/v1/misora/links/{job.id}?{urllib.parse.urlencode(query)}", "expires_at": until})


def _signed_text(video_id: str, query: dict[str, str]) -> str:
    return "\n".join((video_id, query["until"], query["variant"], query["key"]))


async def follow(services: Services, request: Request) -> Response:
    """GET /misora/links/{id}: the file behind a signed link; no key needed."""
    query = {name: request.query_params.get(name, "") for name in ("until", "variant", "key", "signature")}
    name = request.path_params["video_id"]
    gone = ApiError(404, "This link does not work, or not any more; ask for a new one.", code="link_expired")
    if "\0" in name or not services.secret.signed(_signed_text(name, query), query["signature"]) or int(query["until"]) < time.time():
        raise gone
    job = await run_in_threadpool(jobs.get, services.store, name)
    if job is None or await run_in_threadpool(keys.standing, services.store, query["key"]) != job.account_id:
        raise gone
    content.check_ready(job)
    return await content.send(services, request, job, query["variant"], query["key"])


async def publish(services: Services, request: Request, caller: Caller) -> Response:
    """POST /misora/videos/{id}/publish: into the public feed, once it is finished and approved."""
    job = await owned(services, request, caller)
    content.check_ready(job)
    if job.hidden_at is not None:
        raise ApiError(403, f"Video with id '{job.id}' was reported and is hidden.", code="hidden")
    await run_in_threadpool(_show, services, job, caller, shown=True)
    return await _again(services, job)


async def unpublish(services: Services, request: Request, caller: Caller) -> Response:
    """POST /misora/videos/{id}/unpublish: out of the public feed."""
    job = await owned(services, request, caller)
    await run_in_threadpool(_show, services, job, caller, shown=False)
    return await _again(services, job)


def _show(services: Services, job: Job, caller: Caller, *, shown: bool) -> None:
    deed = lambda: publishing.publish(services.store, job, caller.key_id, shown=shown)
    in_turn(services.files.data, deed, lambda done: [{"published" if shown else "unpublished": job.id}])


async def _again(services: Services, job: Job) -> Response:
    now = await run_in_threadpool(jobs.get, services.store, job.id)
    if now is None:
        raise no_video(job.id)
    return JSONResponse(await run_in_threadpool(facts, services, now))


async def feed(services: Services, request: Request) -> Response:
    """GET /misora/feed: what was published, for everybody; with ``featured=true`` what an operator chose of it."""
    query = request.query_params
    text = query.get("before", "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 15):
        raise invalid(
            "before", "Give the published_at of the last video of the page before (featured_at where only featured ones are asked for)."
        )
    chosen = query.get("featured") == "true"
    rows, more = await run_in_threadpool(publishing.feed, services.store, limit=20, before=int(text) if text else None, featured=chosen)
    return JSONResponse(shape.page([_public(job) for job in rows], more))


def _public(job: Job) -> dict[str, Any]:
    kept = {name: value for name, value in shape.video(job).items() if name in ("id", "object", "size", "seconds", "prompt")}
    return kept | {"published_at": job.published_at, "featured_at": job.featured_at, "remixed_from_video_id": job.remixed_from}


FEATURE = (Field(name="featured", kind="flag", says="Whether it stands in front.", required=True),)


async def feature(services: Services, request: Request, caller: Caller) -> Response:
    """POST /misora/feed/{id}/feature: an operator's choice among what was published."""
    given, name = check(await bodies.read(request), FEATURE), request.path_params["video_id"]
    job = await run_in_threadpool(publishing.published, services.store, name) if "\0" not in name else None
    if job is None:
        raise no_video(name)
    await run_in_threadpool(lambda: publishing.feature(services.store, job, caller.key_id, chosen=given["featured"]))
    return JSONResponse({"id": name, "featured": given["featured"]})


async def feed_content(services: Services, request: Request) -> Response:
    """GET /misora/feed/{id}/content: a published file."""
    name, variant = request.path_params["video_id"], request.query_params.get("variant", "video")
    job = await run_in_threadpool(publishing.published, services.store, name) if "\0" not in name else None
    if job is None or variant not in content.VARIANTS:
        raise no_video(name)
    content.check_ready(job)
    return await content.send(services, request, job, variant, None)  # whatever becomes of its maker's key, but revoked


REPORT = (Field(name="reason", kind="text", says="What is wrong with it.", required=True, least=1, most=2000),)
REPORTS_PER_MINUTE = 10


async def report(services: Services, request: Request) -> Response:
    """POST /misora/feed/{id}/report: hides the video at once, for a person to look at."""
    who = request.client.host if request.client else "nobody"
    rate = services.rates.take(f"report {who}", REPORTS_PER_MINUTE)
    if not rate.allowed:
        raise ApiError(
            429, "Too many reports from this address; wait a little.", kind="requests", code="rate_limit_exceeded", headers=rate.headers()
        )
    given = check(await bodies.read(request, small=True), REPORT)
    name = request.path_params["video_id"]
    job = await run_in_threadpool(publishing.published, services.store, name) if "\0" not in name else None
    if job is None:
        raise no_video(name)
    await run_in_threadpool(_hide, services, job, given["reason"])
    return JSONResponse({"id": job.id, "hidden": True})


def _hide(services: Services, job: Job, reason: str) -> None:
    digest = job.facts.get("sha256")
    deed = lambda: publishing.report(services.store, job.id, digest, reason)
    in_turn(services.files.data, deed, lambda at: [{"reported": job.id, "sha256": digest, "reason": reason, "at": at}])
