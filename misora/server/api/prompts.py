"""What is known of a prompt before it is drawn: presets, expansion, words that the embedded weights never read; it knows no video."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.client.wire import SECONDS, SIDES
from misora.server.accounts.keys import Caller
from misora.server.api import bodies
from misora.server.api.fields import PROMPT as LONGEST
from misora.server.api.fields import Field, check
from misora.server.api.services import Services
from misora.words.presets import CAMERAS, STYLES, dressed

PROMPT = (
    Field(name="prompt", kind="text", says="What to show.", required=True, least=1, most=LONGEST),
    Field(name="style", kind="choice", says="A named look.", choices=tuple(STYLES)),
    Field(name="camera", kind="choice", says="A named camera move.", choices=tuple(CAMERAS)),
    Field(name="seed", kind="integer", says="Which of the sound expansions."),
)


async def presets(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/presets: styles, camera moves, lengths and sizes that can be asked for; plans for operators."""
    told: dict[str, Any] = {
        "styles": [{"name": name, "en": words[0], "ja": words[1]} for name, words in STYLES.items()],
        "cameras": [{"name": name, "en": words[0], "ja": words[1]} for name, words in CAMERAS.items()],
        "seconds": list(SECONDS),
        "sides": list(SIDES),
        "models": [{"id": name, "embedded": folder == "embedded"} for name, folder in services.settings.models.items()],
    }
    return JSONResponse(told | ({"plans": services.plans.names()} if "admin" in caller.scopes else {}))


async def read(services: Services, request: Request, caller: Caller) -> Response:
    """POST /misora/prompts: the prompt with its style and camera, its expansion, and the words that the embedded weights do not know."""
    given = check(await bodies.read(request), PROMPT)
    return JSONResponse(await run_in_threadpool(_read, given))


def _read(given: dict[str, Any]) -> dict[str, Any]:
    from misora.words.enhance import enhanced  # the vocabulary of two languages: not before the first prompt is typed
    from misora.words.known import unknown_words

    told = dressed(given["prompt"], style=given.get("style"), camera=given.get("camera"))
    unknown = [{"word": word, "nearest": list(near)} for word, near in unknown_words(given["prompt"])]
    return {"prompt": told, "expanded": enhanced(told, given.get("seed", 0)), "unknown": unknown}
