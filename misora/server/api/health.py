"""Whether the server lives and can work; it knows nothing of videos."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from misora.server.api import openapi
from misora.server.api.services import Services
from misora.server.store.tables import workers

SEEN_SECONDS = 30.0  # a worker that was not heard of for longer does not count


POLICY = {
    "refused": [
        "sexual content",
        "anything sexual or harmful with minors",
        "graphic violence",
        "hate",
        "self-harm",
        "illicit acts",
        "real people",
        "political deception",
        "third-party characters and brands",
    ],
    "what_happens": "A refused request becomes a failed video with the code moderation_blocked; some videos wait for a person first.",
    "appeal": "Write to the operator of this server with the id of the video; a person decides, and the decision is in the audit log.",
}


def routes(services: Services) -> list[Route]:
    """The routes outside /v1 that need no key."""

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> Response:
        facts = await run_in_threadpool(_facts, services)
        return JSONResponse(facts, 200 if facts["ready"] else 503)

    written = openapi.page()

    async def page(request: Request) -> Response:
        return JSONResponse(written)

    async def policy(request: Request) -> Response:
        return JSONResponse(POLICY | {"unchecked": list(await run_in_threadpool(lambda: services.guard.unchecked))})

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/openapi.json", page), Route("/policy", policy)]


def _facts(services: Services) -> dict[str, Any]:
    try:
        services.files.check_room()
        room = True
    except Exception:
        room = False
    with services.store.read() as db:
        alive = db.execute(select(func.count()).select_from(workers).where(workers.c.seen_at > time.time() - SEEN_SECONDS)).scalar_one()
    unchecked = list(services.guard.unchecked)
    return {"ready": room and not services.draining, "draining": services.draining, "disk": room, "workers": alive, "unchecked": unchecked}
