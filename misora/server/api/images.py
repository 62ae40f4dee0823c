"""POST /images/generations: pictures through the same queue, answered when they are done; it knows nothing of rendering."""

from __future__ import annotations

import asyncio
import base64
import io
import time
import urllib.parse
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.server.accounts import keys
from misora.server.accounts.keys import Caller
from misora.server.api import bodies, files, sending
from misora.server.api.errors import ApiError
from misora.server.api.fields import Field, check
from misora.server.api.sending import Sent
from misora.server.api.services import Services
from misora.server.api.videos import PROMPT_FIELD, TUNING, check_open, order_from, place_job
from misora.server.queue import jobs, uploads
from misora.server.queue.job import Job

FORMATS = ("png", "webp", "jpeg")
GENERATE = (
    PROMPT_FIELD,
    Field(name="model", kind="text", says="A model of GET /v1/models.", most=200),
    Field(name="n", kind="integer", says="How many pictures.", least=1, most=10),
    Field(name="size", kind="text", says="WIDTHxHEIGHT, or auto.", most=20),
    Field(name="output_format", kind="choice", says="The kind of file.", choices=FORMATS),
    Field(name="response_format", kind="choice", says="The bytes, or a link that opens for an hour.", choices=("b64_json", "url")),
    Field(name="background", kind="choice", says="Pictures are opaque.", choices=("auto", "opaque")),
    Field(name="quality", kind="text", says="Taken and not used.", most=40),
    Field(name="moderation", kind="choice", says="The operator's policy holds for every picture.", choices=("auto", "low")),
    Field(name="style", kind="text", says="Taken and not used; say it in the prompt.", most=40),
    Field(name="output_compression", kind="integer", says="Taken and not used.", most=100),
    Field(name="user", kind="text", says="Taken and not used.", most=200),
    Field(name="safety_identifier", kind="text", says="Taken and not used.", most=200),
    *TUNING,
)
AUTO = "1024x1024"
SECONDS, LINK_SECONDS = 600.0, 3600  # the SDK's own patience; how long a link to a picture opens
SIZE = Field(name="size", kind="size", says="")


async def generate(services: Services, request: Request, caller: Caller) -> Response:
    """Make ``n`` pictures and wait for them."""
    given = check(await bodies.read(request), GENERATE)
    size = AUTO if given.get("size", "auto") == "auto" else check(bodies.Body(fields={"size": given["size"]}, form=False), (SIZE,))["size"]
    kind = given.get("output_format", "png")
    check_open(services)
    made: list[Job] = []
    try:
        for number in range(given.get("n", 1)):
            order = order_from(services, caller, given, verb="image", seconds=0, size=size)
            more: dict[str, Any] = {"format": kind}
            if "seed" in given:
                more["seed"] = (given["seed"] + number) % 2**63
            made.append(await run_in_threadpool(place_job, services, services.plans[caller.plan], order, given, None, more))
        end = time.monotonic() + SECONDS
        drawn = [await _picture(services, job, end) for job in made]
        if given.get("response_format") == "url":
            pictures = [{"url": await run_in_threadpool(_kept, services, request, caller, data, kind)} for data in drawn]
        else:
            pictures = [{"b64_json": base64.b64encode(data).decode()} for data in drawn]
    finally:
        for job in made:  # they are answered or given up: nothing of them stays
            await run_in_threadpool(jobs.delete, services.store, job.id, job.account_id, pictures=True)
            await run_in_threadpool(services.files.erase, job.id)
    return JSONResponse({"created": int(time.time()), "data": pictures, "output_format": kind, "background": "opaque"})


def _kept(services: Services, request: Request, caller: Caller, data: bytes, kind: str) -> str:
    """A link to the picture, which is kept as one of the account's files until the link ends. Raises DiskFullError."""
    row = files.keep(services, caller.account_id, f"picture.{kind}", "user_data", io.BytesIO(data), LINK_SECONDS)
    query = {"until": str(row["expires_at"]), "key": caller.key_id, "kind": kind}
    query["signature"] = services.secret.sign(_signed_text(row["id"], query), use="picture")
    return f"{request.url.scheme}://{request.url.netloc}/v1/misora/pictures/{row['id']}?{urllib.parse.urlencode(query)}"


def _signed_text(file_id: str, query: dict[str, str]) -> str:
    return "\n".join((file_id, query["until"], query["key"], query["kind"]))


async def follow(services: Services, request: Request) -> Response:
    """GET /misora/pictures/{id}: the picture behind a signed link; no key needed."""
    query = {name: request.query_params.get(name, "") for name in ("until", "key", "kind", "signature")}
    name = request.path_params["file_id"]
    return await sending.send(request, await run_in_threadpool(_followed, services, name, query))


def _followed(services: Services, name: str, query: dict[str, str]) -> Sent:
    gone = ApiError(404, "This link does not work, or not any more; ask for a new picture.", code="link_expired")
    if not services.secret.signed(_signed_text(name, query), query["signature"], use="picture"):
        raise gone
    account_id = keys.standing(services.store, query["key"])
    if account_id is None or uploads.get(services.store, name, account_id) is None:
        raise gone  # the key revoked, the picture deleted or expired
    return files.kept(services, name, query["key"], account_id, f"image/{query['kind']}", "inline")


async def _picture(services: Services, job: Job, end: float) -> bytes:
    while True:
        now = await run_in_threadpool(jobs.get, services.store, job.id, pictures=True)
        if now is None or now.status == "failed":
            code = now.error_code if now else "cancelled"
            status = 400 if code == "moderation_blocked" else 500
            message = (now and now.error_message) or "The picture could not be made."
            raise ApiError(status, message, kind="image_generation_user_error" if status == 400 else "server_error", code=code)
        if now.status == "completed":
            break
        if now.status == "queued":
            check_open(services)  # a server that is about to stop begins nothing
        if time.monotonic() > end:
            raise ApiError(504, "The picture was not finished in time; try again later.", kind="server_error", code="timeout")
        await asyncio.sleep(0.1)
    if now.review != "none":
        raise ApiError(403, "The picture awaits review by the operator.", code="awaiting_review")
    path = services.files.path(f"{now.folder}/{now.facts['file']}")
    return await run_in_threadpool(path.read_bytes)
