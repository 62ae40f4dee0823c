"""Jobs and pages as the API shows them: all thirteen keys, integers as integers, seconds as text; it knows nothing of requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse

from misora.server.queue.job import QUEUED, UNFINISHED, Job

POLL_MS = {QUEUED: 1000}  # how soon to ask again; a running job every half second
RUNNING_POLL_MS = 500


def video(job: Job) -> dict[str, Any]:
    """The video object of the contract."""
    error = {"code": job.error_code, "message": job.error_message or job.error_code} if job.error_code else None
    return {
        "id": job.id,
        "object": "video",
        "created_at": job.created_at,
        "status": job.status,
        "completed_at": job.completed_at,
        "error": error,
        "expires_at": job.expires_at,
        "model": job.model,
        "progress": job.progress,
        "prompt": job.prompt,
        "remixed_from_video_id": job.remixed_from,
        "seconds": str(job.seconds),
        "size": job.size,
    }


def video_response(job: Job) -> JSONResponse:
    """The video object, with the time to wait before the next look while it is not finished."""
    headers = {"openai-poll-after-ms": str(POLL_MS.get(job.status, RUNNING_POLL_MS))} if job.status in UNFINISHED else {}
    return JSONResponse(video(job), headers=headers)


def page(items: Sequence[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """A cursor page; without ``last_id`` the SDK would stop after the first."""
    first, last = (items[0]["id"], items[-1]["id"]) if items else (None, None)
    more = has_more and bool(items)  # with limit=0 there is no place to go on from
    return {"object": "list", "data": list(items), "first_id": first, "last_id": last, "has_more": more}


def cut(items: Sequence[dict[str, Any]], limit: int) -> dict[str, Any]:
    """The page that begins a list."""
    return page(items[:limit], len(items) > limit)
