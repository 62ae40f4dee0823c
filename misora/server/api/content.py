"""Downloads: the finished files, cut off within a second when the key is revoked or the video deleted or reported; it knows no SQL."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from misora.server.accounts import keys
from misora.server.accounts.keys import Caller
from misora.server.api import sending
from misora.server.api.errors import ApiError, invalid
from misora.server.api.sending import Sent
from misora.server.api.services import Services
from misora.server.api.videos import HELD, check_review, owned
from misora.server.files import SPRITESHEET, THUMBNAIL, VIDEO
from misora.server.queue import jobs, publishing
from misora.server.queue.job import Job

VARIANTS = {"video": (VIDEO, "video/mp4"), "thumbnail": (THUMBNAIL, "image/webp"), "spritesheet": (SPRITESHEET, "image/webp")}


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
    if job.expires_at is not None and job.expires_at <= time.time():
        raise ApiError(404, f"Video with id '{job.id}' has expired.", code="video_expired")
    if job.status != "completed" or job.folder is None:
        raise ApiError(404, "Video is not ready yet, use GET /v1/videos/{video_id} to check its status.", code="video_not_ready")
    check_review(job)


async def send(services: Services, request: Request, job: Job, variant: str, key_id: str | None) -> Response:
    """A file of the job, or the range of it that was asked for; without a key one of the feed."""
    name, kind = VARIANTS[variant]
    sent = Sent(
        path=services.files.path(f"{job.folder}/{name}"),
        kind=kind,
        tag=f'"{job.facts.get("sha256", job.id)[:32]}-{variant}"',
        disposition=f'inline; filename="{job.id}.{name.rsplit(".", 1)[1]}"',
        missing=f"The {variant} of video '{job.id}' is not there.",
        goes_on=lambda: _may_go_on(services, job, key_id),
    )
    return await sending.send(request, sent)


def _may_go_on(services: Services, job: Job, key_id: str | None) -> bool:
    """Whether the key still holds and the video is there, neither reported nor refused since the download began.

    Without a key: whether everybody may still see it.
    """
    if key_id is None:
        return publishing.published(services.store, job.id) is not None
    if keys.standing(services.store, key_id) is None:
        return False
    now = jobs.get(services.store, job.id)
    return now is not None and (now.review == job.review or now.review not in HELD)
