"""POST /moderations: the server's own policy in the shape that OpenAI's moderation has; it knows no rule."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.server.accounts.keys import Caller
from misora.server.api import bodies, inputs
from misora.server.api.errors import ApiError, invalid, wrong_type
from misora.server.api.fields import PROMPT, check_judged, plain_text
from misora.server.api.services import Services
from misora.server.guard import Verdict, worse
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
    texts, urls = _parts(services, body.get("input"))
    check_judged(texts, "input")
    async with services.judging:
        results = await run_in_threadpool(_judged, services, caller, texts, urls)
    return JSONResponse({"id": new_id("modr"), "model": model, "results": results})


def _judged(services: Services, caller: Caller, texts: list[str], urls: dict[str, str]) -> list[dict[str, Any]]:
    """A result for each text; text and pictures that came together have one."""
    verdicts = [services.guard.check([text]) for text in texts]
    if urls:
        return [_result(worse(verdicts[0], _seen(services, caller, urls)), ["text", "image"] if texts[0] else ["image"])]
    return [_result(verdict, ["text"]) for verdict in verdicts]


def _seen(services: Services, caller: Caller, urls: dict[str, str]) -> Verdict:
    """What the classifier says of pictures, which are not kept. Raises ApiError."""
    with tempfile.TemporaryDirectory(dir=services.files.data, prefix=".moderation-") as folder:
        below = Path(folder).relative_to(services.files.data)
        taken = [
            inputs.take(services, str(below), {"image_url": url}, name, inputs.IMAGES, caller.account_id) for name, url in urls.items()
        ]
        return services.guard.look([picture for each in taken for picture in inputs.pictures(services, each.file)])


def _parts(services: Services, value: Any) -> tuple[list[str], dict[str, str]]:
    """The texts, and the pictures' addresses by their place. Raises ApiError."""
    if value is None:
        raise invalid("input", "Missing required parameter: 'input'.", "missing_required_parameter")
    if isinstance(value, str):
        return [plain_text(value, "input", 0, PROMPT)], {}
    if not isinstance(value, list) or not 0 < len(value) <= MOST:
        raise invalid("input", f"Invalid 'input': expected a string, or an array of 1 to {MOST} items.", "invalid_type")
    if all(isinstance(each, str) for each in value):
        return [plain_text(each, f"input[{index}]", 0, PROMPT) for index, each in enumerate(value)], {}
    texts: list[str] = []
    urls: dict[str, str] = {}
    for index, each in enumerate(value):
        name = f"input[{index}]"
        if not isinstance(each, dict):
            raise wrong_type(name, "an object", each)
        if each.get("type") == "image_url":
            urls[name] = _picture(services, each.get("image_url"), name)
        elif each.get("type") == "text":
            texts.append(plain_text(each.get("text"), f"{name}.text", 0, PROMPT))
        else:
            raise invalid(f"{name}.type", "Supported values are: 'text', and 'image_url'.")
    return ["\n".join(texts)], urls


def _picture(services: Services, value: Any, name: str) -> str:
    if not services.guard.looks:  # rather than call harmless what nobody saw
        raise ApiError(400, "This server has no classifier that could look at pictures; send text.", param=name, code="unsupported_input")
    if not isinstance(value, dict):
        raise wrong_type(f"{name}.image_url", "an object", value)
    return plain_text(value.get("url"), f"{name}.image_url.url", 1, inputs.IMAGE_URL.most)


def _result(verdict: Verdict, kinds: list[str]) -> dict[str, Any]:
    flagged = verdict.verdict in ("review", "block")
    category = NAMES.get(verdict.category or "", verdict.category)
    found = {name: flagged and name == category for name in CATEGORIES}
    return {
        "flagged": flagged,
        "categories": found,
        "category_scores": {name: float(hit) for name, hit in found.items()},
        "category_applied_input_types": dict.fromkeys(CATEGORIES, kinds),
        "misora": {
            "verdict": verdict.verdict,
            "category": verdict.category or None,
            "rule": verdict.rule or None,
            "version": verdict.version,
        },
    }
