"""The OpenAPI page, written from the same tables that check requests; it knows nothing of how requests are answered."""

from __future__ import annotations

import re
from typing import Any

import misora
from misora.server.api.fields import object_schema
from misora.server.api.moderations import CATEGORIES
from misora.server.api.routes import ROUTES, Route

INTEGER, TEXT = {"type": "integer"}, {"type": "string"}
MAYBE_INTEGER, MAYBE_TEXT = {"type": ["integer", "null"]}, {"type": ["string", "null"]}
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {"message": TEXT, "type": TEXT, "param": MAYBE_TEXT, "code": MAYBE_TEXT},
        }
    },
}
VIDEO: dict[str, Any] = {
    "id": TEXT,
    "object": {"const": "video"},
    "model": TEXT,
    "status": {"enum": ["queued", "in_progress", "completed", "failed"]},
    "progress": {"type": "integer", "minimum": 0, "maximum": 100},
    "created_at": INTEGER,
    "completed_at": MAYBE_INTEGER,
    "expires_at": MAYBE_INTEGER,
    "size": TEXT,
    "seconds": TEXT,
    "prompt": MAYBE_TEXT,
    "remixed_from_video_id": MAYBE_TEXT,
    "error": {"type": ["object", "null"], "properties": {"code": TEXT, "message": TEXT}},
}
FLAG, TEXTS = {"type": "boolean"}, {"type": "array", "items": TEXT}
STUDIO: dict[str, Any] = {
    "verb": TEXT,
    "stage": TEXT,
    "position": {"type": "integer", "description": "How many jobs are begun before this one."},
    "preview": {"type": "integer", "description": "The number of the newest preview, 0 where there is none now."},
    "started_at": MAYBE_INTEGER,
    "attempts": INTEGER,
    "parents": TEXTS,
    "review": {"enum": ["none", "waiting", "approved", "refused"]},
    "published_at": MAYBE_INTEGER,
    "hidden_at": MAYBE_INTEGER,
    "seed": MAYBE_INTEGER,
    "unchecked": TEXTS,
    "asked": {"type": "object", "description": "What was asked for beside the video's own fields; null in the place of an upload."},
}


def _page_of(name: str) -> dict[str, Any]:
    told = {"object": {"const": "list"}, "data": {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}}
    told |= {"first_id": MAYBE_TEXT, "last_id": MAYBE_TEXT, "has_more": {"type": "boolean"}}
    return {"type": "object", "required": list(told), "properties": told}


STUDIO_VIDEO = VIDEO | {"misora": {"type": "object", "required": list(STUDIO), "properties": STUDIO}}
VERIFICATION = {
    **dict.fromkeys(("signed", "trusted", "changed", "made_here", "watermark", "mirrored", "generated"), FLAG),
    **dict.fromkeys(("actions", "ingredients", "failures"), TEXTS),
    "object": {"const": "verification"},
    "signer": TEXT,
    "job": MAYBE_TEXT,
}
SCHEMAS: dict[str, Any] = {
    "Error": ERROR,
    "Object": {"type": "object"},
    "Video": {"type": "object", "required": list(VIDEO), "properties": VIDEO},
    "StudioVideo": {"type": "object", "required": list(STUDIO_VIDEO), "properties": STUDIO_VIDEO},
    "Verification": {"type": "object", "required": list(VERIFICATION), "properties": VERIFICATION},
    "VideoList": _page_of("Video"),
    "StudioList": _page_of("StudioVideo"),
    "Deleted": {
        "type": "object",
        "required": ["id", "object", "deleted"],
        "properties": {"id": TEXT, "object": {"const": "video.deleted"}, "deleted": {"const": True}},
    },
    "Character": {
        "type": "object",
        "required": ["id", "name", "created_at"],
        "properties": {"id": TEXT, "name": TEXT, "created_at": INTEGER},
    },
}
MODERATION = {
    "type": "object",
    "additionalProperties": False,
    "required": ["input"],
    "properties": {"input": {"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 64}]}, "model": TEXT},
    "description": f"Judged by this server's policy, told in {len(CATEGORIES)} categories.",
}
QUERY: dict[str, Any] = {
    "favourite": {"type": "string", "enum": ["true", "false"]},
    "featured": {"type": "string", "enum": ["true", "false"]},
    "status": {"type": "string", "enum": ["queued", "in_progress", "completed", "failed"]},
    "q": {"type": "string", "maxLength": 1000},
    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
    "order": {"type": "string", "enum": ["asc", "desc"]},
    "variant": {"type": "string", "enum": ["video", "thumbnail", "spritesheet"]},
    "before": {"type": "integer", "minimum": 0, "maximum": 10**14},
}


def page() -> dict[str, Any]:
    """The whole page."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(f"/v1{route.path}", {})[route.method.lower()] = _operation(route)
    paths["/healthz"] = {"get": {"operationId": "healthz", "responses": {"200": {"description": "It lives."}}}}
    paths["/readyz"] = {
        "get": {"operationId": "readyz", "responses": {"200": {"description": "Ready."}, "503": {"description": "Not ready."}}}
    }
    bearer = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}
    info = {"title": "Misora", "version": misora.__version__, "description": "The Videos API, self-hosted."}
    return {"openapi": "3.1.0", "info": info, "security": [{"key": []}], "paths": paths, "components": {"schemas": SCHEMAS} | bearer}


def _operation(route: Route) -> dict[str, Any]:
    named = route.handler or route.open
    assert named is not None
    operation: dict[str, Any] = {
        "operationId": _name(route),
        "summary": (named.__doc__ or "").strip().rstrip("."),
        "responses": _responses(route),
    }
    found = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in re.findall(r"\{(\w+)\}", route.path)]
    found += [{"name": name, "in": "query", "schema": QUERY.get(name, TEXT)} for name in route.query]
    if found:
        operation["parameters"] = found
    if route.open is not None:
        operation["security"] = []
    if route.body is not None:
        schema = object_schema(route.body) if route.body else MODERATION
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        if any(field.kind == "source" for field in route.body):
            operation["requestBody"]["content"]["multipart/form-data"] = {"schema": _with_files(route)}
        if any(field.kind == "source" and not field.inside for field in route.body):
            del operation["requestBody"]["content"]["application/json"]
    return operation


def _with_files(route: Route) -> dict[str, Any]:
    """The same fields as a form, in which a source may be a file."""
    schema = object_schema(route.body or ())
    files = {field.name: {"type": "string", "format": "binary"} for field in route.body or () if field.kind == "source"}
    return schema | {"properties": schema["properties"] | files}


def _name(route: Route) -> str:
    words = re.findall(r"\w+", route.path)
    return "_".join([route.method.lower(), *words])


def _responses(route: Route) -> dict[str, Any]:
    error = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    media = [route.answer] if "/" in route.answer else ["application/json"]
    media += ["image/webp"] if route.answer == "video/mp4" else []
    schema = {} if "/" in route.answer else {"schema": {"$ref": f"#/components/schemas/{route.answer}"}}
    good = {"description": "Done.", "content": dict.fromkeys(media, schema)}
    ranged = {"206": good | {"description": "The range."}, "416": error | {"description": "The range lies outside."}}
    return (
        {"200": good}
        | (ranged if route.answer == "video/mp4" else {})
        | ({"204": {"description": "There is none now."}} if route.answer == "image/webp" else {})
        | {"default": error | {"description": "What went wrong, in one shape."}}
    )
