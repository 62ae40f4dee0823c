"""The library's routes: search, favourites, families, provenance, characters; they know nothing of SQL or rendering."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.server.accounts import keys
from misora.server.accounts.keys import Caller
from misora.server.api import bodies, lists, sending, shape
from misora.server.api.errors import ApiError
from misora.server.api.fields import Field, check, query_integer
from misora.server.api.sending import Sent
from misora.server.api.services import Services
from misora.server.api.studio import facts
from misora.server.api.verbs import shown
from misora.server.api.videos import owned
from misora.server.journal import remember
from misora.server.queue import cast, library
from misora.server.queue.library import Search

MARK = (Field(name="favourite", kind="flag", says="Whether it is a favourite.", required=True),)


async def listing(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/videos: one's own videos, newest first, with what was asked beside the contract."""
    query = request.query_params
    limit = query_integer(query.get("limit"), "limit", 50, 1, 200)
    told = {name: query.get(name, "")[:200].replace("\0", "") for name in ("q", "verb", "status", "favourite")}
    wanted = Search(text=told["q"], favourite=told["favourite"] == "true", verb=told["verb"], status=told["status"])
    page = await run_in_threadpool(_page, services, caller.account_id, wanted, limit, query.get("after") or None)
    return JSONResponse(page)


def _page(services: Services, account_id: str, wanted: Search, limit: int, after: str | None) -> dict[str, Any]:
    found = library.search(services.store, account_id, wanted, limit=limit, after=after)
    if found is None:
        raise lists.nothing("video", after)
    jobs, more, total = found
    liked = library.marked(services.store, account_id, [job.id for job in jobs])
    items = [facts(services, job) for job in jobs]
    for item in items:
        item["misora"]["favourite"] = item["id"] in liked
    return shape.page(items, more) | {"total": total}


async def mark(services: Services, request: Request, caller: Caller) -> Response:
    """POST /misora/videos/{id}/favourite."""
    job = await owned(services, request, caller)
    wanted = check(await bodies.read(request), MARK)["favourite"]
    await run_in_threadpool(lambda: library.mark(services.store, caller.account_id, job.id, favourite=wanted))
    return JSONResponse({"id": job.id, "favourite": wanted})


async def family(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/videos/{id}/family: what it came from and what came from it."""
    job = await owned(services, request, caller)
    rows = await run_in_threadpool(library.family, services.store, caller.account_id, job.id)
    return JSONResponse({"object": "list", "data": [{name: value for name, value in row.items() if name != "seq"} for row in rows]})


async def characters(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/characters: all of the account, newest first."""
    rows = await run_in_threadpool(cast.listing, services.store, caller.account_id)
    return JSONResponse({"object": "list", "data": [shown(row) for row in rows]})


async def delete_character(services: Services, request: Request, caller: Caller) -> Response:
    """DELETE /misora/characters/{id}: the character and its clip."""
    row = await run_in_threadpool(_character, services, request, caller)
    await run_in_threadpool(cast.delete, services.store, row["id"])
    await run_in_threadpool(remember, services.files.data, [{"character": row["id"]}])
    await run_in_threadpool(services.files.erase_folder, f"characters/{row['id']}")
    return JSONResponse({"id": row["id"], "deleted": True})


async def character_content(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/characters/{id}/content: the clip that shows it."""
    row = await run_in_threadpool(_character, services, request, caller)
    name, store = row["id"], services.store
    sent = Sent(
        path=services.files.path(row["file"]),
        kind="video/mp4",
        tag=f'"{name}"',
        disposition=f'inline; filename="{name}.mp4"',
        missing=f"Character with id '{name}' not found.",
        goes_on=lambda: keys.working(store, caller.key_id) and cast.get(store, name, caller.account_id) is not None,
    )
    return await sending.send(request, sent)


def _character(services: Services, request: Request, caller: Caller) -> dict[str, Any]:
    name = request.path_params["character_id"]
    row = cast.get(services.store, name, caller.account_id) if "\0" not in name else None
    if row is None:
        raise ApiError(404, f"Character with id '{name[:100]}' not found.", param="character_id")
    return row
