"""POST /images/generations: pictures through the same queue, answered when they are done; it knows nothing of rendering."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.server.accounts.keys import Caller
from misora.server.api import bodies
from misora.server.api.errors import ApiError, invalid
from misora.server.api.fields import Field, check
from misora.server.api.services import Services
from misora.server.api.videos import PROMPT_FIELD, TUNING, order_from, place_job
from misora.server.queue import jobs
from misora.server.queue.job import Job

FORMATS = ("png", "webp", "jpeg")
GENERATE = (
    PROMPT_FIELD,
    Field(name="model", kind="text", says="A model of GET /v1/models.", most=200),
    Field(name="n", kind="integer", says="How many pictures.", least=1, most=10),
    Field(name="size", kind="text", says="WIDTHxHEIGHT, or auto.", most=20),
    Field(name="output_format", kind="choice", says="The kind of file.", choices=FORMATS),
    Field(name="response_format", kind="choice", says="Only b64_json is served.", choices=("b64_json", "url")),
    Field(name="background", kind="choice", says="Pictures are opaque.", choices=("auto", "opaque")),
    Field(name="quality", kind="text", says="Taken and not used.", most=40),
    Field(name="moderation", kind="choice", says="The operator's policy holds for every picture.", choices=("auto", "low")),
    Field(name="user", kind="text", says="Taken and not used.", most=200),
    *TUNING,
)
AUTO = "1024x1024"
SECONDS = 600.0  # the SDK's own patience
SIZE = Field(name="size", kind="size", says="")


async def generate(services: Services, request: Request, caller: Caller) -> Response:
    """Make ``n`` pictures and wait for them."""
    given = check(await bodies.read(request), GENERATE)
    if given.get("response_format") == "url":
        raise invalid("response_format", "This server sends pictures as b64_json; leave response_format out.")
    size = AUTO if given.get("size", "auto") == "auto" else check(bodies.Body(fields={"size": given["size"]}, form=False), (SIZE,))["size"]
    kind = given.get("output_format", "png")
    made = []
    for number in range(given.get("n", 1)):
        order = order_from(services, caller, given, verb="image", seconds=0, size=size)
        more: dict[str, Any] = {"format": kind}
        if "seed" in given:
            more["seed"] = given["seed"] + number
        made.append(await run_in_threadpool(place_job, services, services.plans[caller.plan], order, given, None, more))
    pictures = await _wait(services, made)
    return JSONResponse({"created": int(time.time()), "data": pictures, "output_format": kind, "background": "opaque"})


async def _wait(services: Services, made: list[Job]) -> list[dict[str, str]]:
    end, pictures = time.monotonic() + SECONDS, []
    try:
        for job in made:
            pictures.append({"b64_json": await _picture(services, job, end)})
    finally:
        for job in made:  # they are answered or given up: nothing of them stays
            await run_in_threadpool(jobs.delete, services.store, job.id, job.account_id, pictures=True)
            await run_in_threadpool(services.files.erase, job.id)
    return pictures


async def _picture(services: Services, job: Job, end: float) -> str:
    while True:
        now = await run_in_threadpool(jobs.get, services.store, job.id, pictures=True)
        if now is None or now.status == "failed":
            code = now.error_code if now else "cancelled"
            status = 400 if code == "moderation_blocked" else 500
            message = (now and now.error_message) or "The picture could not be made."
            raise ApiError(status, message, kind="image_generation_user_error" if status == 400 else "server_error", code=code)
        if now.status == "completed":
            break
        if time.monotonic() > end:
            raise ApiError(504, "The picture was not finished in time; try again later.", kind="server_error", code="timeout")
        await asyncio.sleep(0.1)
    if now.review != "none":
        raise ApiError(403, "The picture awaits review by the operator.", code="awaiting_review")
    path = services.files.path(f"{now.folder}/{now.facts['file']}")
    return base64.b64encode(await run_in_threadpool(path.read_bytes)).decode()
