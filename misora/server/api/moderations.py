"""POST /moderations: the server's own policy in the shape that OpenAI's moderation has; it knows no rule."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.server.accounts.keys import Caller
from misora.server.api import bodies
from misora.server.api.errors import ApiError, invalid, wrong_type
from misora.server.api.fields import PROMPT, plain_text
from misora.server.api.services import Services
from misora.server.guard import Verdict
from misora.server.queue.job import new_id

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
NAMES = {"minors": "sexual/minors", "self_harm": "self-harm", "self-harm": "self-harm"}  # ours to theirs, where they differ
MOST = 64  # texts at once


async def create(services: Services, request: Request, caller: Caller) -> Response:
    """Judge each text; what our policy knows beside the thirteen categories is flagged and named under ``misora``."""
    body = (await bodies.read(request)).fields
    for name in body:
        if name not in ("input", "model"):
            raise invalid(name[:100], f"Unknown parameter: '{name[:100]}'.", "unknown_parameter")
    model = plain_text(body.get("model") or "misora-policy", "model", 1, 200)
    texts = _texts(body.get("input"))
    verdicts = await run_in_threadpool(lambda: [services.guard.check([text]) for text in texts])
    return JSONResponse({"id": new_id("modr"), "model": model, "results": [_result(verdict) for verdict in verdicts]})


def _texts(value: Any) -> list[str]:
    if value is None:
        raise invalid("input", "Missing required parameter: 'input'.", "missing_required_parameter")
    if isinstance(value, str):
        return [plain_text(value, "input", 0, PROMPT)]
    if not isinstance(value, list) or not 0 < len(value) <= MOST:
        raise invalid("input", f"Invalid 'input': expected a string, or an array of 1 to {MOST} items.", "invalid_type")
    if all(isinstance(each, str) for each in value):
        return [plain_text(each, f"input[{index}]", 0, PROMPT) for index, each in enumerate(value)]
    return ["\n".join(_part(each, f"input[{index}]") for index, each in enumerate(value))]


def _part(value: Any, param: str) -> str:
    if not isinstance(value, dict):
        raise wrong_type(param, "an object", value)
    if value.get("type") == "image_url":
        raise ApiError(400, "This server checks no pictures here; send text.", param=param, code="unsupported_input")
    if value.get("type") != "text":
        raise invalid(f"{param}.type", "Supported values are: 'text'.")
    return plain_text(value.get("text"), f"{param}.text", 0, PROMPT)


def _result(verdict: Verdict) -> dict[str, Any]:
    flagged = verdict.verdict in ("review", "block")
    category = NAMES.get(verdict.category or "", verdict.category)
    found = {name: flagged and name == category for name in CATEGORIES}
    return {
        "flagged": flagged,
        "categories": found,
        "category_scores": {name: float(hit) for name, hit in found.items()},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
        "misora": {
            "verdict": verdict.verdict,
            "category": verdict.category or None,
            "rule": verdict.rule or None,
            "version": verdict.version,
        },
    }
