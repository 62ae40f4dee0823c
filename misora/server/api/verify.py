"""Whether a file was made here: anybody may ask, a few times a minute; only its owner is told which job it was. It knows no pixels."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from misora.media.limits import LIMITS
from misora.server.accounts.keys import Caller
from misora.server.api import bodies, content, session
from misora.server.api.auth import caller_of
from misora.server.api.errors import ApiError, invalid
from misora.server.api.fields import Field, check
from misora.server.api.services import Services
from misora.server.api.videos import owned
from misora.server.files import VIDEO
from misora.server.queue import jobs

FILE = (
    Field(name="file", kind="source", says="A video or a picture.", required=True, most=1),
    Field(name="quick", kind="flag", says="Whether to look for the watermark at the likely sizes only."),
)
PER_MINUTE = 10
SECONDS = 120.0
SECRET = ("job", "prompt_sha256", "payload")  # told to nobody but the owner, and then as the job's name


async def verify(services: Services, request: Request) -> Response:
    """POST /verify: who signed a file, whether it was changed since, whether it was made here, also re-encoded, cut or mirrored."""
    named = "authorization" in request.headers or session.COOKIE in request.cookies
    caller = await caller_of(services, request) if named else None
    who = caller.account_id if caller else request.client.host if request.client else "nobody"
    rate = services.rates.take(f"verify {who}", PER_MINUTE)
    if not rate.allowed:
        message = f"At most {PER_MINUTE} files a minute are looked at; try again in {rate.wait:.1f} s."
        raise ApiError(429, message, kind="requests", code="rate_limit_exceeded", headers=rate.headers())
    given = check(await bodies.read(request), FILE)
    if not isinstance(given["file"], UploadFile):
        raise invalid("file", "Send the file itself as multipart/form-data.")
    found = await _of_stranger(services, given["file"].file, thorough=not given.get("quick", False))
    return JSONResponse(await run_in_threadpool(told, services, caller, found), headers=rate.headers())


async def provenance(services: Services, request: Request, caller: Caller) -> Response:
    """GET /misora/videos/{id}/provenance: what the file of one's own video says of itself."""
    job = await owned(services, request, caller)
    content.check_ready(job)
    found = await _examined(services, services.files.path(f"{job.folder}/{VIDEO}"), thorough=False)
    return JSONResponse(await run_in_threadpool(told, services, caller, found))


async def _of_stranger(services: Services, file: IO[bytes], *, thorough: bool) -> dict[str, Any]:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size > LIMITS.file_bytes:
        raise ApiError(413, f"'file' has {size:,} bytes; at most {LIMITS.file_bytes:,} are taken.", param="file", code="too_large")
    services.files.check_room()
    with tempfile.TemporaryDirectory(dir=services.files.data, prefix=".verify-") as folder:
        path = Path(folder) / "file"
        await run_in_threadpool(services.files.keep, str(path.relative_to(services.files.data)), file)
        return await _examined(services, path, thorough=thorough)


async def _examined(services: Services, path: Path, *, thorough: bool) -> dict[str, Any]:
    """What a process of its own says of the file, one at a time. Raises ApiError."""
    signing = services.files.data / "signing"
    command = [sys.executable, "-m", "misora.server.examine", str(path), str(signing), "thorough" if thorough else "quick"]
    async with services.examining:
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
        try:
            out, _ = await asyncio.wait_for(child.communicate(), SECONDS)
            found: dict[str, Any] = json.loads(out)
        except (TimeoutError, ValueError):
            raise ApiError(400, "The file could not be looked at within the limits.", param="file", code="invalid_file") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
    if "error" in found:
        raise ApiError(400, f"Invalid 'file': {found['error']}", param="file", code="invalid_file")
    return found


def told(services: Services, caller: Caller | None, found: dict[str, Any]) -> dict[str, Any]:
    """The report without what only the owner may know, and the job's name where the caller is the owner."""
    public = {name: value for name, value in found.items() if name not in SECRET}
    return {"object": "verification", **public, "job": _own(services, caller, found) if caller else None}


def _own(services: Services, caller: Caller, found: dict[str, Any]) -> str | None:
    if found.get("job"):
        job = jobs.get(services.store, found["job"], caller.account_id, pictures=True)
        return job.id if job else None
    return jobs.of_payload(services.store, caller.account_id, found["payload"]) if found.get("payload") is not None else None
