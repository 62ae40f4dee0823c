"""The models that may be asked for; it knows nothing of their weights."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.server.accounts.keys import Caller
from misora.server.api.errors import ApiError
from misora.server.api.services import Services

CREATED = 1795305600  # 2026-11-22: Misora's first weights


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "misora"}


async def listing(services: Services, request: Request, caller: Caller) -> Response:
    """GET /models."""
    return JSONResponse({"object": "list", "data": [_model(name) for name in services.settings.models]})


async def retrieve(services: Services, request: Request, caller: Caller) -> Response:
    """GET /models/{model}."""
    name = request.path_params["model"]
    if name not in services.settings.models:
        raise ApiError(404, f"The model '{name[:100]}' does not exist.", param="model", code="model_not_found")
    return JSONResponse(_model(name))
