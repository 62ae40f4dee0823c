"""Create, list, retrieve, delete: the routes around one job; they know nothing of how it is rendered."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.client.wire import DEFAULT_MODEL, DEFAULT_SECONDS, DEFAULT_SIZE, SECONDS
from misora.server.accounts.keys import Caller, note
from misora.server.accounts.plans import Plan
from misora.server.api import bodies, inputs, lists, shape
from misora.server.api.errors import ApiError, invalid, no_video
from misora.server.api.fields import PROMPT, Field, check, check_judged, query_integer
from misora.server.api.services import Services
from misora.server.files import VIDEO
from misora.server.guard import BLOCKED, Verdict, worse
from misora.server.journal import remember
from misora.server.queue import cast, jobs
from misora.server.queue.job import Job, Order

PROMPT_FIELD = Field(name="prompt", kind="text", says="What to show, in English or Japanese.", required=True, least=1, most=PROMPT)
CARD = (
    Field(name="prompt", kind="text", says="What this part shows.", required=True, least=1, most=PROMPT),
    Field(name="seconds", kind="number", says="How long this part lasts.", required=True, least=0.1, most=120),
    Field(name="image", kind="source", says="A picture that it begins with.", most=1, inside=(inputs.IMAGE_URL, inputs.FILE_ID)),
    Field(name="video", kind="source", says="A video that is shown in its place.", most=1, inside=(inputs.VIDEO_ID,)),
    Field(name="cut", kind="flag", says="Whether it begins with a cut."),
)
TUNING = (  # typed fields beside the contract's
    Field(name="seed", kind="integer", says="The same seed makes the same video."),
    Field(name="steps", kind="integer", says="Sampling steps.", least=1, most=200),
    Field(name="guidance", kind="number", says="How closely to follow the prompt.", least=1, most=30),
    Field(name="speed", kind="choice", says="Likeness for time.", choices=("exact", "balanced", "fast")),
    Field(name="negative_prompt", kind="text", says="What not to show.", most=PROMPT),
)
CREATE = (
    PROMPT_FIELD,
    Field(name="model", kind="text", says="A model of GET /v1/models.", most=200),
    Field(name="seconds", kind="seconds", says="The length, as text.", least=SECONDS[0], most=SECONDS[1]),
    Field(name="size", kind="size", says="WIDTHxHEIGHT; the official ones and any other sane one."),
    Field(
        name="input_reference",
        kind="source",
        says="The first frame: a file, or an image_url.",
        most=1,
        inside=(inputs.IMAGE_URL, inputs.FILE_ID),
    ),
    Field(
        name="last_frame",
        kind="source",
        says="The last frame, beside an input_reference.",
        most=1,
        inside=(inputs.IMAGE_URL, inputs.FILE_ID),
    ),
    Field(
        name="characters",
        kind="array",
        says="Characters to show.",
        least=0,
        most=2,
        inside=(dataclasses.replace(inputs.VIDEO_ID, required=True),),
    ),
    *TUNING,
    Field(name="loop", kind="flag", says="Whether the last frame flows into the first."),
    Field(name="reference", kind="source", says="A clip whose look to follow, never shown.", most=1, inside=(inputs.VIDEO_ID,)),
    Field(name="storyboard", kind="array", says="Parts with prompts of their own, in order.", least=0, most=20, inside=CARD),
)


async def create(services: Services, request: Request, caller: Caller) -> Response:
    """POST /videos."""
    given = check(await bodies.read(request), CREATE)
    return await place(services, request, caller, order_of(services, caller, given), given)


def order_of(services: Services, caller: Caller, given: dict[str, Any], *, later: int = 0) -> Order:
    """The order of a new video, behind others by ``later``. Raises ApiError."""
    order = order_from(services, caller, given, verb="generate")
    given["storyboard"] = given.get("storyboard") or None
    _check_board(given["storyboard"], order.seconds)
    return dataclasses.replace(order, priority=order.priority - later)


def _check_board(cards: list[dict[str, Any]] | None, seconds: int) -> None:
    if cards and abs(sum(card["seconds"] for card in cards) - seconds) > 0.05:
        raise invalid("storyboard", f"The cards of the storyboard must last {seconds} seconds together, as long as the video.")


def order_from(services: Services, caller: Caller, given: dict[str, Any], **fixed: Any) -> Order:
    """The order that checked fields make under the caller's plan. Raises ApiError."""
    plan = services.plans[caller.plan]
    values: dict[str, Any] = {"model": given.get("model", DEFAULT_MODEL), "seconds": given.get("seconds", DEFAULT_SECONDS)}
    values |= {"size": given.get("size", DEFAULT_SIZE), "prompt": given["prompt"], "priority": plan.priority} | fixed
    if values["model"] not in services.settings.models:
        raise invalid("model", f"The model '{values['model'][:100]}' does not exist here; see GET /v1/models.", "model_not_found")
    deadline = time.time() + plan.deadline_seconds if plan.deadline_seconds else None
    review = "waiting" if plan.review else "none"
    return Order(account_id=caller.account_id, key_id=caller.key_id, deadline=deadline, review=review, **values)


async def place(services: Services, request: Request, caller: Caller, order: Order, given: dict[str, Any], **more: Any) -> Response:
    """Check the texts, store the files, put the job in the queue, answer with it. Raises ApiError."""
    check_open(services)
    once = _once(request, given, order)
    return shape.video_response(await run_in_threadpool(place_job, services, services.plans[caller.plan], order, given, once, more))


def check_open(services: Services) -> None:
    """Raise ApiError when the server is about to stop."""
    if services.draining:
        message = "The server is about to stop; try again shortly."
        raise ApiError(503, message, kind="server_error", code="draining", headers={"retry-after": "5"})


def place_job(services: Services, plan: Plan, order: Order, given: dict[str, Any], once: jobs.Once | None, more: dict[str, Any]) -> Job:
    """Check the texts, store and check the files, put the job in the queue. Raises ApiError and what the queue raises."""
    services.files.check_room()
    _check_plan(services, plan)
    texts = [order.prompt, given.get("negative_prompt"), *(card["prompt"] for card in given.get("storyboard") or ())]
    check_judged(texts, "storyboard" if given.get("storyboard") else "prompt")
    verdict = services.guard.check(texts)
    folder = f"videos/{order.id}/inputs"
    try:
        asked: dict[str, Any] = {} if verdict.verdict == "block" else _request(services, order, given, folder) | more
        verdict = worse(verdict, looked_at(services, asked))
        blocked = verdict.verdict == "block"
        if blocked:
            services.files.erase(order.id)
        order = dataclasses.replace(order, request=asked, review="waiting" if verdict.verdict == "review" else order.review)
        job = jobs.add(services.store, order, once=once, allowance=plan.allowance, failed=BLOCKED if blocked else None)
    except BaseException:
        services.files.erase(order.id)
        raise
    if job.id != order.id:
        services.files.erase(order.id)  # the same request came before
    elif verdict.verdict != "allow":
        _note(services, order, verdict)
    return job


def _check_plan(services: Services, plan: Plan) -> None:
    if plan.require_check and services.guard.unchecked:
        missing = ", ".join(services.guard.unchecked)
        message = f"Your plan requires checks that are not set up on this server ({missing}); ask its operator."
        raise ApiError(403, message, code="check_unavailable")


def looked_at(services: Services, asked: dict[str, Any]) -> Verdict:
    """What the policy says of the pictures and clips that were sent along; nothing where nobody can look."""
    cards = [card.get(name) for card in asked.get("storyboard", ()) for name in ("image", "video")]
    sent = [each for each in (*asked.values(), *cards) if isinstance(each, dict) and "kind" in each]
    if not sent or not services.guard.looks:
        return Verdict(verdict="allow")
    return services.guard.look([picture for each in sent for picture in inputs.pictures(services, each["file"])])


def _request(services: Services, order: Order, given: dict[str, Any], folder: str) -> dict[str, Any]:
    """What the worker has to know beside the job's own columns: numbers, texts, and the files that came along."""
    asked = {name: given[name] for name in KEPT if given.get(name) is not None}
    for name in ("input_reference", "last_frame"):
        if given.get(name) is not None:
            asked[name] = dataclasses.asdict(inputs.take(services, folder, given[name], name, inputs.IMAGES, order.account_id))
    if asked.get("storyboard"):
        asked["storyboard"] = [_card(services, order, card, folder, place) for place, card in enumerate(asked["storyboard"])]
    if (reference := given.get("reference")) is not None:
        asked["reference"] = source(services, order.account_id, reference, folder, "reference")
    if given.get("characters"):
        asked["characters"] = [character(services, order.account_id, each["id"]) for each in given["characters"]]
    return asked


def _card(services: Services, order: Order, card: dict[str, Any], folder: str, place: int) -> dict[str, Any]:
    """A card with its picture or its video as files."""
    kept, where = dict(card), f"storyboard-{place}"
    if card.get("image") is not None:
        kept["image"] = dataclasses.asdict(inputs.take(services, folder, card["image"], f"{where}.image", inputs.IMAGES, order.account_id))
    if card.get("video") is not None:
        kept["video"] = source(services, order.account_id, card["video"], folder, f"{where}.video")
    return kept


KEPT = ("seed", "steps", "guidance", "speed", "negative_prompt", "loop", "storyboard", "strength", "backward", "new_seconds", "gap")


def source(services: Services, account_id: str, value: Any, folder: str, param: str) -> dict[str, Any]:
    """The video that a ``source`` field means: one of the caller's own, finished, or an upload. Raises ApiError."""
    if isinstance(value, UploadFile):
        return dataclasses.asdict(inputs.take(services, folder, value, param, inputs.VIDEOS, account_id))
    return made(finished(services, value["id"], account_id))


def made(job: Job) -> dict[str, Any]:
    """A finished video of ours as an input: its name, its file and its length."""
    return {"id": job.id, "file": f"{job.folder}/{VIDEO}", "seconds": job.seconds}


def character(services: Services, account_id: str, name: str) -> dict[str, Any]:
    """The character of that name. Raises ApiError."""
    found = cast.get(services.store, name, account_id)
    if found is None:
        raise ApiError(404, f"Character with id '{name[:100]}' not found.", param="characters")
    return {"id": found["id"], "file": found["file"]}


def finished(services: Services, video_id: str, account_id: str) -> Job:
    """A completed video of the account. Raises ApiError."""
    job = jobs.get(services.store, video_id, account_id)
    if job is None:
        raise no_video(video_id)
    return usable(job, "video")


def usable(job: Job, param: str | None = None) -> Job:
    """The same job, if something new may begin from its files. Raises ApiError."""
    if job.status == "failed":
        raise ApiError(400, f"Video with id '{job.id}' failed and has no content; see its 'error'.", param=param, code="video_failed")
    if job.status != "completed":
        message = f"Video with id '{job.id}' is not completed; wait until its status is 'completed'."
        raise ApiError(400, message, param=param, code="video_not_ready")
    if job.folder is None or (job.expires_at is not None and job.expires_at <= time.time()):
        raise ApiError(400, f"Video with id '{job.id}' has expired.", param=param, code="video_expired")
    check_review(job)
    return job


HELD = ("waiting", "refused")  # what a person has to see first, or saw and refused


def check_review(job: Job) -> None:
    """Raise ApiError where a person must see the job's files first: neither shown, nor worked into something that would show them."""
    if job.review in HELD:
        word = "awaits review by the operator" if job.review == "waiting" else "was refused in review"
        code = "awaiting_review" if job.review == "waiting" else "review_refused"
        raise ApiError(403, f"Video with id '{job.id}' {word}.", code=code)


def _once(request: Request, given: dict[str, Any], order: Order) -> jobs.Once | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= 255 or not key.isprintable():
        raise invalid("Idempotency-Key", "The Idempotency-Key must have 1 to 255 printable characters.")
    digest = hashlib.sha256(json.dumps([order.verb, order.remixed_from, _plain(given)], sort_keys=True).encode())
    return jobs.Once(key=key, body_hash=digest.hexdigest())


def _plain(value: Any) -> Any:
    if isinstance(value, UploadFile):
        digest = hashlib.sha256()
        value.file.seek(0)  # it may have been stored already
        while piece := value.file.read(1 << 20):
            digest.update(piece)
        value.file.seek(0)
        return digest.hexdigest()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _note(services: Services, order: Order, verdict: Verdict) -> None:
    detail: dict[str, object] = {"category": verdict.category, "rule": verdict.rule, "version": verdict.version}
    with services.store.write() as db:
        note(db, order.key_id, f"policy.{verdict.verdict}", order.id, detail)


async def listing(services: Services, request: Request, caller: Caller) -> Response:
    """GET /videos."""
    query = request.query_params
    limit = query_integer(query.get("limit"), "limit", 20, 0, 100)
    newest_first, after = lists.newest_first(query), query.get("after") or None
    found = await run_in_threadpool(jobs.listing, services.store, caller.account_id, limit=limit, after=after, newest_first=newest_first)
    if found is None:
        raise lists.nothing("video", after)
    return JSONResponse(shape.page([shape.video(job) for job in found[0]], found[1]))


async def retrieve(services: Services, request: Request, caller: Caller) -> Response:
    """GET /videos/{id}."""
    return shape.video_response(await owned(services, request, caller))


async def owned(services: Services, request: Request, caller: Caller) -> Job:
    """The job that the path names. Raises ApiError 404, also for another account's."""
    name = request.path_params["video_id"]
    get: Callable[..., Job | None] = jobs.get
    job = await run_in_threadpool(get, services.store, name, caller.account_id) if "\0" not in name else None
    if job is None:
        raise no_video(name)
    return job


async def delete(services: Services, request: Request, caller: Caller) -> Response:
    """DELETE /videos/{id}: also stops a job that waits or runs."""
    job = await owned(services, request, caller)
    if await run_in_threadpool(_delete, services, job) is None:
        raise no_video(job.id)
    return JSONResponse({"id": job.id, "object": "video.deleted", "deleted": True})


def _delete(services: Services, job: Job) -> Job | None:
    gone = jobs.delete(services.store, job.id, job.account_id)
    if gone is not None:
        remember(services.files.data, [{"video": job.id}])
    services.files.erase(job.id)
    return gone
