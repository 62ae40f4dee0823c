"""Remix, edits, extensions and characters: the routes that begin from a video that is there; they know nothing of rendering."""

from __future__ import annotations

import dataclasses
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.client.wire import PIXELS, SECONDS, SIDES
from misora.server.accounts.keys import Caller
from misora.server.api import bodies, inputs
from misora.server.api.errors import ApiError, invalid
from misora.server.api.fields import PROMPT, Field, check, plain_text
from misora.server.api.services import Services
from misora.server.api.videos import PROMPT_FIELD, TUNING, finished, looked_at, made, order_from, owned, place, source, usable
from misora.server.files import VIDEO as VIDEO_FILE
from misora.server.guard import BLOCKED
from misora.server.queue import cast, publishing
from misora.server.queue.job import BETWEEN, Job, new_id

EXTENSIONS, LONGEST = 6, 120  # of one video, and its seconds in all
NEARLY = 0.4  # seconds by which the parts of a video may miss its length, which is known to the second where it was made here
VIDEO = Field(
    name="video", kind="source", says="The video: an MP4, or the id of one of yours.", required=True, most=1, inside=(inputs.VIDEO_ID,)
)
STRENGTH = Field(name="strength", kind="number", says="How much may change: 0 nothing, 1 everything.", least=0, most=1)
REGION = (
    Field(name="x", kind="integer", says="Left edge in pixels.", required=True, most=SIDES[1]),
    Field(name="y", kind="integer", says="Upper edge in pixels.", required=True, most=SIDES[1]),
    Field(name="width", kind="integer", says="Width in pixels.", required=True, least=1, most=SIDES[1]),
    Field(name="height", kind="integer", says="Height in pixels.", required=True, least=1, most=SIDES[1]),
    Field(name="from", kind="number", says="From this second on.", most=LONGEST),
    Field(name="to", kind="number", says="Up to this second.", most=LONGEST),
)
TRIM = Field(
    name="trim",
    kind="object",
    says="Use only this part of the video.",
    inside=(
        Field(name="from", kind="number", says="From this second on.", required=True, most=LONGEST),
        Field(name="to", kind="number", says="Up to this second.", required=True, most=LONGEST),
    ),
)
PART = (
    Field(name="prompt", kind="text", says="What this part shows.", required=True, least=1, most=PROMPT),
    Field(name="seconds", kind="number", says="How long this part lasts.", required=True, least=0.5, most=LONGEST),
    Field(name="cut", kind="flag", says="Whether the video jumps where it begins."),
)
REMIX = (PROMPT_FIELD, STRENGTH, *TUNING)
EDIT = (
    PROMPT_FIELD,
    VIDEO,
    Field(name="model", kind="text", says="For an upload: a model of GET /v1/models.", most=200),
    STRENGTH,
    Field(name="inpaint", kind="object", says="Change only inside this box.", inside=REGION),
    Field(
        name="mask",
        kind="source",
        says="Change only where this picture is white; together with a box, its seconds count.",
        most=1,
        inside=(inputs.IMAGE_URL, inputs.FILE_ID),
    ),
    Field(name="loop", kind="choice", says="Close it into a loop: how much of its end is made anew.", choices=("short", "normal", "full")),
    TRIM,
    Field(name="gap", kind="number", says="Seconds that lead from one video to the other.", least=0.5, most=10),
    Field(name="connect", kind="source", says="A second video, to which the first shall lead over.", most=1, inside=(inputs.VIDEO_ID,)),
    Field(name="storyboard", kind="array", says="Parts of the video, in order, each reworked under its own prompt.", most=20, inside=PART),
    *TUNING,
)
EXTEND = (
    PROMPT_FIELD,
    dataclasses.replace(VIDEO, says="The video to go on from."),
    Field(name="seconds", kind="seconds", says="The length of the new part, as text.", required=True, least=SECONDS[0], most=SECONDS[1]),
    Field(name="backward", kind="flag", says="Whether the new part comes before the video."),
    TRIM,
    *TUNING,
)
CHARACTER = (
    Field(name="name", kind="text", says="What to call it in prompts.", required=True, least=1, most=80),
    dataclasses.replace(VIDEO, says="A short MP4 that shows it.", inside=(inputs.VIDEO_ID,)),
)


async def remix(services: Services, request: Request, caller: Caller) -> Response:
    """POST /videos/{id}/remix."""
    given = check(await bodies.read(request), REMIX)
    parent = usable(await _owned_or_published(services, request, caller))
    order = order_from(services, caller, given, verb="remix", model=parent.model, seconds=parent.seconds, size=parent.size)
    return await place(services, request, caller, dataclasses.replace(order, remixed_from=parent.id), given, video=made(parent))


async def _owned_or_published(services: Services, request: Request, caller: Caller) -> Job:
    """One's own video, or one of the feed, which everybody may remix. Raises ApiError."""
    name = request.path_params["video_id"]
    found = await run_in_threadpool(publishing.published, services.store, name) if "\0" not in name else None
    return found or await owned(services, request, caller)


async def edit(services: Services, request: Request, caller: Caller) -> Response:
    """POST /videos/edits."""
    given = check(await bodies.read(request), EDIT)
    found = await run_in_threadpool(_source, services, caller, given["video"])
    folder = f"videos/{found.order_id}/inputs"
    try:
        verb, trim = _verb(given), _trim(given, found)
        lasting = trim["to"] - trim["from"] if trim else found.asked["seconds"]
        _check_parts(given.get("storyboard"), lasting)
        seconds = max(1, round(lasting)) if trim else found.seconds
        order = order_from(services, caller, {"model": found.model} | given, verb=verb, seconds=seconds, size=found.size, id=found.order_id)
        more: dict[str, Any] = {"video": found.asked} | ({"trim": trim} if trim else {})
        if given.get("mask") is not None:
            taken = await run_in_threadpool(inputs.take, services, folder, given["mask"], "mask", inputs.IMAGES, caller.account_id)
            more["mask"] = dataclasses.asdict(taken)
        if given.get("inpaint"):
            more["inpaint"] = _region(given["inpaint"], found.size)
        if given.get("connect") is not None:
            more["connect"] = await run_in_threadpool(source, services, caller.account_id, given["connect"], folder, "connect")
            order = dataclasses.replace(order, seconds=_connected(seconds, given.get("gap", BETWEEN), more["connect"]["seconds"]))
    except ApiError:
        services.files.erase(found.order_id)
        raise
    return await place(services, request, caller, order, given, **more)


def _verb(given: dict[str, Any]) -> str:
    given["storyboard"] = given.get("storyboard") or None
    wanted = [name for name in ("connect", "loop", "storyboard", "inpaint", "mask") if given.get(name) is not None]
    if len(set(wanted) - {"mask", "inpaint"}) + bool(set(wanted) & {"mask", "inpaint"}) > 1:
        raise invalid(wanted[0], f"Give only one of {', '.join(wanted)}.")
    return {"mask": "inpaint", "storyboard": "edit"}.get(wanted[0], wanted[0]) if wanted else "edit"


def _check_parts(parts: list[dict[str, Any]] | None, seconds: float) -> None:
    if parts and abs(sum(part["seconds"] for part in parts) - seconds) > NEARLY:
        raise invalid("storyboard", f"The parts of the storyboard must last {seconds:.4g} seconds together, as long as the video.")


def _trim(given: dict[str, Any], found: _Source) -> dict[str, Any] | None:
    trim: dict[str, Any] | None = given.get("trim")
    if trim is not None and not trim["from"] + 0.2 <= trim["to"] <= found.seconds + 0.5:
        raise invalid("trim", f"The part must last .2 seconds or more and lie within the {found.seconds} seconds of the video.")
    return trim


def _connected(one: float, gap: float, other: float) -> int:
    total = round(one + gap + other)
    if total > LONGEST:
        raise invalid("connect", f"The two videos and what leads from one to the other may last {LONGEST} seconds in all.", "too_long")
    return total


def _region(box: dict[str, Any], size: str) -> dict[str, Any]:
    width, height = map(int, size.split("x"))
    if box["x"] + box["width"] > width or box["y"] + box["height"] > height:
        raise invalid("inpaint", f"The box must lie inside the picture of {size}.")
    if "to" in box and box["to"] <= box.get("from", 0):
        raise invalid("inpaint.to", "The box must end after it begins.")
    return box


async def extend(services: Services, request: Request, caller: Caller) -> Response:
    """POST /videos/extensions."""
    given = check(await bodies.read(request), EXTEND)
    found = await run_in_threadpool(_source, services, caller, given["video"])
    new, times = given["seconds"], found.extensions + 1
    try:
        trim = _trim(given, found)
        kept = max(1, round(trim["to"] - trim["from"])) if trim else found.seconds
        if times > EXTENSIONS or kept + new > LONGEST:
            raise invalid("video", f"A video can be extended {EXTENSIONS} times, to {LONGEST} seconds in all.", "too_long")
        order = order_from(
            services, caller, given, verb="extend", model=found.model, seconds=kept + new, size=found.size, id=found.order_id
        )
    except ApiError:
        services.files.erase(found.order_id)
        raise
    return await place(
        services,
        request,
        caller,
        order,
        given | {"new_seconds": new},
        video=found.asked,
        extensions=times,
        **({"trim": trim} if trim else {}),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Source:
    order_id: str
    asked: dict[str, Any]
    model: str
    seconds: int
    size: str
    extensions: int = 0


def _source(services: Services, caller: Caller, value: Any) -> _Source:
    """The video that an edit or extension begins from, one's own or an upload. Raises ApiError."""
    order_id = new_id("video")
    if not isinstance(value, UploadFile):
        job = finished(services, value["id"], caller.account_id)
        times = int(job.request.get("extensions", 0))
        return _Source(order_id=order_id, asked=made(job), model=job.model, seconds=job.seconds, size=job.size, extensions=times)
    services.files.check_room()
    asked = source(services, caller.account_id, value, f"videos/{order_id}/inputs", "video")
    width, height = (side - side % 2 for side in (asked["width"], asked["height"]))
    if min(width, height) < SIDES[0] or width * height > PIXELS or not 0.2 <= asked["seconds"] <= LONGEST:
        services.files.erase(order_id)
        raise invalid("video", f"The video must be at least {SIDES[0]} pixels high and wide and last at most {LONGEST} seconds.")
    size, seconds = f"{width}x{height}", max(1, round(asked["seconds"]))
    return _Source(order_id=order_id, asked=asked, model="sora-2", seconds=seconds, size=size)


async def create_character(services: Services, request: Request, caller: Caller) -> Response:
    """POST /videos/characters."""
    given = check(await bodies.read(request), CHARACTER)
    if not given["name"].replace("\u3000", " ").isprintable():
        raise invalid("name", "The name must be printable text.")
    return JSONResponse(await run_in_threadpool(_keep_character, services, caller, given))


def _keep_character(services: Services, caller: Caller, given: dict[str, Any]) -> dict[str, Any]:
    services.files.check_room()
    if services.guard.check([plain_text(given["name"], "name", 1, 80)]).verdict in ("block", "review"):
        raise ApiError(400, BLOCKED[1], param="name", code=BLOCKED[0])
    name = new_id("char")
    asked = source(services, caller.account_id, given["video"], f"characters/{name}", "video")
    if looked_at(services, {"video": asked}).verdict in ("block", "review"):
        services.files.erase_folder(f"characters/{name}")
        raise ApiError(400, BLOCKED[1], param="video", code=BLOCKED[0])
    if "id" in asked:
        asked["file"] = _copy(services, asked["file"], f"characters/{name}/{VIDEO_FILE}")
    return shown(cast.add(services.store, name, caller.account_id, given["name"], asked["file"]))


def _copy(services: Services, source_name: str, name: str) -> str:
    try:
        file = services.files.path(source_name).open("rb")
    except OSError:  # deleted meanwhile
        raise ApiError(404, "The video was deleted.", param="video") from None
    with file:
        services.files.keep(name, file)
    return name


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A character as the API shows it."""
    return {name: row[name] for name in ("id", "name", "created_at")}


async def get_character(services: Services, request: Request, caller: Caller) -> Response:
    """GET /videos/characters/{id}."""
    name = request.path_params["character_id"]
    row = await run_in_threadpool(cast.get, services.store, name, caller.account_id) if "\0" not in name else None
    if row is None:
        raise ApiError(404, f"Character with id '{name[:100]}' not found.", param="character_id")
    return JSONResponse(shown(row))
