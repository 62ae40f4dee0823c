"""Every route in one table: method, path, handler, scope, and the fields and answer that its page in OpenAPI shows; it knows no logic."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from misora.server.api import (
    admin,
    batches,
    content,
    files,
    images,
    library,
    models,
    moderations,
    prompts,
    session,
    studio,
    verbs,
    verify,
    videos,
    webhooks,
)
from misora.server.api.auth import Handler
from misora.server.api.fields import Field
from misora.server.api.services import Services

Open = Callable[[Services, Request], Awaitable[Response]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Route:
    """One route. ``open`` needs no key. ``answer`` names a schema of OpenAPI, or a media type with a stroke."""

    method: str
    path: str
    handler: Handler | None = None
    open: Open | None = None
    scope: str = "generate"
    body: tuple[Field, ...] | None = None
    query: tuple[str, ...] = ()
    answer: str = "Object"


def _route(method: str, path: str, handler: Handler, answer: str = "Object", body: tuple[Field, ...] | None = None, **more: Any) -> Route:
    return Route(method=method, path=path, handler=handler, answer=answer, body=body, **more)


PAGE = ("after", "limit", "order")
ROUTES = (  # edits, extensions and characters stand before {video_id}
    _route("POST", "/videos", videos.create, "Video", videos.CREATE),
    _route("GET", "/videos", videos.listing, "VideoList", query=PAGE),
    _route("POST", "/videos/edits", verbs.edit, "Video", verbs.EDIT),
    _route("POST", "/videos/extensions", verbs.extend, "Video", verbs.EXTEND),
    _route("POST", "/videos/characters", verbs.create_character, "Character", verbs.CHARACTER),
    _route("GET", "/videos/characters/{character_id}", verbs.get_character, "Character"),
    _route("GET", "/videos/{video_id}", videos.retrieve, "Video"),
    _route("DELETE", "/videos/{video_id}", videos.delete, "Deleted"),
    _route("GET", "/videos/{video_id}/content", content.content, "video/mp4", query=("variant",)),
    _route("POST", "/videos/{video_id}/remix", verbs.remix, "Video", verbs.REMIX),
    _route("POST", "/images/generations", images.generate, body=images.GENERATE),
    _route("POST", "/moderations", moderations.create, body=()),
    _route("POST", "/webhook_endpoints", webhooks.create, body=webhooks.ENDPOINT),
    _route("GET", "/webhook_endpoints", webhooks.listing, query=("after", "limit")),
    _route("GET", "/webhook_endpoints/{endpoint_id}", webhooks.retrieve),
    _route("POST", "/webhook_endpoints/{endpoint_id}", webhooks.change, body=webhooks.CHANGES),
    _route("DELETE", "/webhook_endpoints/{endpoint_id}", webhooks.delete),
    _route("POST", "/webhook_endpoints/{endpoint_id}/rotate_secret", webhooks.rotate, body=(webhooks.KEEP_OLD,)),
    _route("POST", "/webhook_endpoints/{endpoint_id}/test", webhooks.test, body=webhooks.TRY),
    _route("GET", "/webhook_event_types", webhooks.event_types),
    _route("POST", "/files", files.create, body=files.NEW),
    _route("GET", "/files", files.listing, query=("after", "limit", "order", "purpose")),
    _route("GET", "/files/{file_id}", files.retrieve),
    _route("GET", "/files/{file_id}/content", files.content, "application/octet-stream"),
    _route("DELETE", "/files/{file_id}", files.delete),
    _route("POST", "/batches", batches.create, body=batches.NEW),
    _route("GET", "/batches", batches.listing, query=("after", "limit")),
    _route("GET", "/batches/{batch_id}", batches.retrieve),
    _route("POST", "/batches/{batch_id}/cancel", batches.cancel),
    _route("GET", "/models", models.listing),
    _route("GET", "/models/{model}", models.retrieve),
    Route(method="POST", path="/misora/session", open=session.sign_in, body=session.KEY),
    Route(method="GET", path="/misora/session", open=session.describe),
    Route(method="DELETE", path="/misora/session", open=session.sign_out),
    _route("GET", "/misora/session/events", session.events, "text/event-stream"),
    _route("GET", "/misora/presets", prompts.presets),
    _route("POST", "/misora/prompts", prompts.read, body=prompts.PROMPT),
    _route("GET", "/misora/characters", library.characters),
    _route("DELETE", "/misora/characters/{character_id}", library.delete_character),
    _route("GET", "/misora/characters/{character_id}/content", library.character_content, "video/mp4"),
    _route("GET", "/misora/videos", library.listing, "StudioList", query=("after", "limit", "q", "favourite", "verb", "status")),
    Route(method="POST", path="/verify", open=verify.verify, body=verify.FILE, answer="Verification"),
    _route("GET", "/misora/videos/{video_id}/provenance", verify.provenance, "Verification"),
    _route("GET", "/misora/videos/{video_id}", studio.retrieve, "StudioVideo"),
    _route("POST", "/misora/videos/{video_id}/favourite", library.mark, body=library.MARK),
    _route("GET", "/misora/videos/{video_id}/family", library.family),
    _route("GET", "/misora/videos/{video_id}/events", studio.events, "text/event-stream"),
    _route("GET", "/misora/videos/{video_id}/preview", studio.preview, "image/webp"),
    _route("POST", "/misora/videos/{video_id}/link", studio.link, body=studio.LINK),
    _route("POST", "/misora/videos/{video_id}/publish", studio.publish, scope="publish"),
    _route("POST", "/misora/videos/{video_id}/unpublish", studio.unpublish, scope="publish"),
    Route(
        method="GET",
        path="/misora/links/{video_id}",
        open=studio.follow,
        query=("until", "variant", "key", "signature"),
        answer="video/mp4",
    ),
    Route(
        method="GET",
        path="/misora/pictures/{file_id}",
        open=images.follow,
        query=("until", "key", "kind", "signature"),
        answer="image/webp",
    ),
    Route(method="GET", path="/misora/feed", open=studio.feed, query=("before", "featured")),
    _route("POST", "/misora/feed/{video_id}/feature", studio.feature, body=studio.FEATURE, scope="admin"),
    Route(method="GET", path="/misora/feed/{video_id}/content", open=studio.feed_content, query=("variant",), answer="video/mp4"),
    Route(method="POST", path="/misora/feed/{video_id}/report", open=studio.report, body=studio.REPORT),
    _route("GET", "/misora/usage", admin.usage),
    _route("GET", "/misora/keys", admin.list_keys, scope="admin"),
    _route("POST", "/misora/keys", admin.create_key, body=admin.NEW_KEY, scope="admin"),
    _route("POST", "/misora/keys/end", admin.end_keys, body=admin.ENDING, scope="admin"),
    _route("GET", "/misora/plans", admin.plans, scope="admin"),
    _route("GET", "/misora/accounts", admin.list_accounts, scope="admin"),
    _route("POST", "/misora/accounts/{account_id}", admin.change_account, body=admin.ACCOUNT, scope="admin"),
    _route("POST", "/misora/policy", admin.try_policy, body=admin.TRIAL, scope="admin"),
    _route("GET", "/misora/review", admin.review, scope="admin"),
    _route("POST", "/misora/review/{video_id}", admin.decide, body=admin.DECISION, scope="admin"),
    _route("GET", "/misora/review/{video_id}/content", admin.review_content, "video/mp4", scope="admin", query=("variant",)),
    _route("GET", "/misora/audit", admin.audit_log, scope="admin", query=("before", "limit")),
    _route("GET", "/misora/workers", admin.list_workers, scope="admin"),
)
