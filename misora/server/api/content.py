"""Downloads: the finished files in ranges, cut off within a second when the key is revoked or the video deleted; it knows no SQL."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from misora.server.accounts import keys
from misora.server.accounts.keys import Caller
from misora.server.api.errors import ApiError, invalid
from misora.server.api.services import Services
from misora.server.api.videos import check_review, owned
from misora.server.files import SPRITESHEET, THUMBNAIL, VIDEO
from misora.server.queue import jobs
from misora.server.queue.job import Job

VARIANTS = {"video": (VIDEO, "video/mp4"), "thumbnail": (THUMBNAIL, "image/webp"), "spritesheet": (SPRITESHEET, "image/webp")}
CHUNK = 256 * 1024
CHECK_SECONDS = 0.5  # how often a running download asks whether it may go on
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """Bytes ``first`` to ``last`` of ``size``, both included; ``asked``: as a range, be it the whole (players ask so and want a 206)."""

    first: int
    last: int
    size: int
    asked: bool = True

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.last - self.first + 1


async def content(services: Services, request: Request, caller: Caller) -> Response:
    """GET /videos/{id}/content."""
    variant = request.query_params.get("variant", "video")
    if variant not in VARIANTS:
        raise invalid("variant", f"Invalid value: '{variant[:100]}'. Supported values are: 'video', 'thumbnail', and 'spritesheet'.")
    job = await owned(services, request, caller)
    check_ready(job)
    return await send(services, request, job, variant, caller.key_id)


def check_ready(job: Job) -> None:
    """Raise ApiError unless the job's files may be seen now."""
    if job.status == "failed":
        raise ApiError(404, f"Video with id '{job.id}' has no content: it failed. See its 'error'.", code="video_failed")
    if job.status != "completed" or job.folder is None:
        raise ApiError(404, "Video is not ready yet, use GET /v1/videos/{video_id} to check its status.", code="video_not_ready")
    if job.expires_at is not None and job.expires_at <= time.time():
        raise ApiError(404, f"Video with id '{job.id}' has expired.", code="video_expired")
    check_review(job)


async def send(services: Services, request: Request, job: Job, variant: str, key_id: str | None) -> Response:
    """A file of the job, or the range of it that was asked for."""
    name, kind = VARIANTS[variant]
    path = services.files.path(f"{job.folder}/{name}")
    try:
        file = await run_in_threadpool(path.open, "rb")
    except OSError:
        raise ApiError(404, f"The {variant} of video '{job.id}' is not there.", code="not_found") from None
    size, tag = _size(path), f'"{job.facts.get("sha256", job.id)[:32]}-{variant}"'
    headers = {"content-type": kind, "etag": tag, "cache-control": "private, no-store"}
    headers |= {"x-content-type-options": "nosniff", "content-disposition": f'inline; filename="{job.id}.{name.rsplit(".", 1)[1]}"'}
    span = _span(request, size, tag)
    if span is None:
        file.close()
        raise ApiError(416, "The range lies outside the file.", code="invalid_range", headers={"content-range": f"bytes */{size}"})
    headers["content-length"] = str(span.length)
    status = 206 if span.asked else 200
    if span.asked:
        headers["content-range"] = f"bytes {span.first}-{span.last}/{size}"
    if span.asked or "range" not in request.headers:  # a whole file instead of a range promises none
        headers["accept-ranges"] = "bytes"
    if request.method == "HEAD":
        file.close()
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_chunks(services, file, span, job, key_id), status, headers)


def _size(path: Path) -> int:
    return path.stat().st_size


def _span(request: Request, size: int, tag: str) -> Span | None:
    """The span that one ``Range`` asks for, the whole file where none, several or a stale one is asked; None outside the file."""
    whole = Span(first=0, last=size - 1, size=size, asked=False)
    asked = RANGE.fullmatch(request.headers.get("range", "").strip().lower())
    if asked is None or asked[1] == asked[2] == "" or request.headers.get("if-range", tag) != tag:
        return whole
    if len(asked[1]) > 18 or len(asked[2]) > 18:
        return None
    if asked[1] == "":
        length = min(int(asked[2]), size)
        return Span(first=size - length, last=size - 1, size=size) if length else None
    first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
    if asked[2] and int(asked[2]) < first:
        return whole  # no valid range: as if it were not there (RFC 9110)
    return Span(first=first, last=last, size=size) if first < size else None


async def _chunks(services: Services, file: IO[bytes], span: Span, job: Job, key_id: str | None) -> AsyncIterator[bytes]:
    left, checked = span.length, time.monotonic()
    with file:
        file.seek(span.first)
        while left > 0:
            if time.monotonic() - checked > CHECK_SECONDS:
                if not await run_in_threadpool(_may_go_on, services, job, key_id):
                    raise ConnectionAbortedError("the key was revoked or the video deleted")
                checked = time.monotonic()
            piece = await run_in_threadpool(file.read, min(CHUNK, left))
            if not piece:
                raise ConnectionAbortedError("the file is shorter than it was")
            left -= len(piece)
            yield piece


def _may_go_on(services: Services, job: Job, key_id: str | None) -> bool:
    return (key_id is None or keys.working(services.store, key_id)) and jobs.get(services.store, job.id) is not None
