"""The Files API: what a request may name by its id later; it knows nothing of what is in a file."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.media.limits import LIMITS
from misora.server.accounts import keys
from misora.server.accounts.keys import Caller
from misora.server.api import bodies, lists, sending, shape
from misora.server.api.errors import ApiError, invalid
from misora.server.api.fields import Field, check, query_integer
from misora.server.api.sending import Sent
from misora.server.api.services import Services
from misora.server.journal import remember
from misora.server.queue import uploads
from misora.server.queue.job import new_id
from misora.server.store.tables import files as table

MOST = 1000  # files of an account
PURPOSES = ("vision", "batch", "user_data", "assistants", "fine-tune", "evals")
ANCHOR = Field(name="anchor", kind="choice", says="From when on.", required=True, choices=("created_at",))
LASTING = Field(name="seconds", kind="integer", says="How long.", required=True, least=3600, most=30 * 24 * 3600)
NEW = (
    Field(name="file", kind="source", says="The file.", required=True, most=1),
    Field(name="purpose", kind="choice", says="What it is for: vision for pictures, batch for orders.", required=True, choices=PURPOSES),
    Field(name="expires_after", kind="object", says="When it goes by itself.", inside=(ANCHOR, LASTING)),
)


def place(services: Services, file_id: str) -> Path:
    """Where a file lies."""
    return services.files.path(f"files/{file_id}")


def keep(services: Services, account_id: str, name: str, purpose: str, file: IO[bytes], seconds: int | None = None) -> dict[str, Any]:
    """Store a file; its row. Raises DiskFullError."""
    services.files.check_room()
    row: dict[str, Any] = {"id": f"file-{new_id('')[1:]}", "account_id": account_id, "name": name, "purpose": purpose}
    size, now = file.seek(0, io.SEEK_END), int(time.time())
    file.seek(0)
    services.files.keep(f"files/{row['id']}", file)
    return uploads.add(services.store, row | {"bytes": size, "created_at": now, "expires_at": now + seconds if seconds else None})


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """The file object of the contract."""
    kept = {name: row[name] for name in ("id", "bytes", "created_at", "expires_at", "purpose")}
    return kept | {"object": "file", "filename": row["name"], "status": "processed"}


async def create(services: Services, request: Request, caller: Caller) -> Response:
    """POST /files."""
    given = check(await bodies.read(request), NEW)
    if not isinstance(given["file"], UploadFile):
        raise invalid("file", "Send the file itself as multipart/form-data.")
    return JSONResponse(shown(await run_in_threadpool(_create, services, caller, given)))


def _create(services: Services, caller: Caller, given: dict[str, Any]) -> dict[str, Any]:
    file: UploadFile = given["file"]
    if (file.size or 0) > LIMITS.file_bytes:
        raise ApiError(413, f"'file' has {file.size:,} bytes; at most {LIMITS.file_bytes:,} are taken.", param="file", code="too_large")
    if uploads.count(services.store, caller.account_id) >= MOST:
        raise ApiError(400, f"An account may keep {MOST} files; delete one first.", code="too_many")
    name = "".join(letter for letter in file.filename or "" if letter.isprintable()).replace("\\", "/").rsplit("/", 1)[-1][:255] or "upload"
    return keep(services, caller.account_id, name, given["purpose"], file.file, given.get("expires_after", {}).get("seconds"))


async def listing(services: Services, request: Request, caller: Caller) -> Response:
    """GET /files: newest first."""
    query = request.query_params
    limit = query_integer(query.get("limit"), "limit", 1000, 1, 10_000)
    return JSONResponse(await run_in_threadpool(_page, services, caller, query, limit))


def _page(services: Services, caller: Caller, query: Mapping[str, str], limit: int) -> dict[str, Any]:
    rows = uploads.listing(services.store, caller.account_id, query.get("purpose"))
    return shape.cut([shown(row) for row in lists.behind(services, table, caller, query, rows, "file")], limit)


async def owned(services: Services, request: Request, caller: Caller) -> dict[str, Any]:
    """The row of the file that the path names. Raises ApiError 404, also for another account's."""
    return await run_in_threadpool(find, services, request.path_params["file_id"], caller.account_id)


def find(services: Services, file_id: str, account_id: str, param: str = "file_id", status: int = 404) -> dict[str, Any]:
    """The row of an account's file. Raises ApiError."""
    row = uploads.get(services.store, file_id, account_id) if "\0" not in file_id else None
    if row is None:
        raise ApiError(status, f"No such File object: {file_id[:100]}", param=param)
    return row


async def retrieve(services: Services, request: Request, caller: Caller) -> Response:
    """GET /files/{id}."""
    return JSONResponse(shown(await owned(services, request, caller)))


async def content(services: Services, request: Request, caller: Caller) -> Response:
    """GET /files/{id}/content: always a download, whatever is in it."""
    row = await owned(services, request, caller)
    return await sending.send(
        request, kept(services, row["id"], caller.key_id, caller.account_id, "application/octet-stream", "attachment")
    )


def kept(services: Services, name: str, key_id: str, account_id: str, kind: str, how: str) -> Sent:
    """An account's file as it is sent while the key holds and the file is there."""
    goes_on = lambda: keys.standing(services.store, key_id) is not None and uploads.get(services.store, name, account_id) is not None
    path, missing = place(services, name), f"No such File object: {name}"
    return Sent(path=path, kind=kind, tag=f'"{name}"', disposition=f'{how}; filename="{name}"', missing=missing, goes_on=goes_on)


@contextlib.contextmanager
def opened(services: Services, file_id: str, param: str) -> Iterator[IO[bytes]]:
    """The file, to be read. Raises ApiError where it was deleted meanwhile."""
    try:
        file = place(services, file_id).open("rb")
    except OSError:
        raise ApiError(400, f"No such File object: {file_id}", param=param) from None
    with file:
        yield file


async def delete(services: Services, request: Request, caller: Caller) -> Response:
    """DELETE /files/{id}."""
    row = await owned(services, request, caller)
    await run_in_threadpool(forget, services, row["id"])
    return JSONResponse({"id": row["id"], "object": "file", "deleted": True})


def forget(services: Services, file_id: str) -> None:
    """Erase a file and its row."""
    uploads.delete(services.store, file_id)
    remember(services.files.data, [{"file": file_id}])
    place(services, file_id).unlink(missing_ok=True)
