"""One file as an answer, whole or a range, cut off once it may not go on; it knows nothing of videos and of SQL."""

from __future__ import annotations

import dataclasses
import io
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from misora.server.api.errors import ApiError

CHUNK = 256 * 1024
CHECK_SECONDS = 0.5  # how often a running download asks whether it may go on
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sent:
    """What is sent: where it lies, what it is, its version's name, how a browser takes it, and who says whether it may go on."""

    path: Path
    kind: str
    tag: str
    disposition: str
    missing: str
    goes_on: Callable[[], bool]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """Bytes ``first`` to ``last`` of ``size``, both included; ``asked``: as a range, be it the whole (players ask so and want a 206)."""

    first: int
    last: int
    size: int
    asked: bool = True

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.last - self.first + 1


async def send(request: Request, sent: Sent) -> Response:
    """The file, or the range of it that was asked for. Raises ApiError."""
    try:
        file = await run_in_threadpool(sent.path.open, "rb")
    except OSError:  # deleted meanwhile
        raise ApiError(404, sent.missing, code="not_found") from None
    size = file.seek(0, io.SEEK_END)
    headers = {"content-type": sent.kind, "etag": sent.tag, "cache-control": "private, no-store"}
    headers |= {"x-content-type-options": "nosniff", "content-disposition": sent.disposition}
    span = _span(request, size, sent.tag)
    if span is None:
        file.close()
        raise ApiError(416, "The range lies outside the file.", code="invalid_range", headers={"content-range": f"bytes */{size}"})
    headers["content-length"] = str(span.length)
    status = 206 if span.asked else 200
    if span.asked:
        headers["content-range"] = f"bytes {span.first}-{span.last}/{size}"
    if span.asked or "range" not in request.headers:  # a whole file instead of a range promises none
        headers["accept-ranges"] = "bytes"
    if request.method == "HEAD":
        file.close()
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_chunks(file, span, sent.goes_on), status, headers)


def _span(request: Request, size: int, tag: str) -> Span | None:
    """The span that one ``Range`` asks for, the whole file where none, several or a stale one is asked; None outside the file."""
    whole = Span(first=0, last=size - 1, size=size, asked=False)
    asked = RANGE.fullmatch(request.headers.get("range", "").strip().lower())
    if asked is None or asked[1] == asked[2] == "" or request.headers.get("if-range", tag) != tag:
        return whole
    if len(asked[1]) > 18 or len(asked[2]) > 18:
        return None
    if asked[1] == "":
        length = min(int(asked[2]), size)
        return Span(first=size - length, last=size - 1, size=size) if length else None
    first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
    if asked[2] and int(asked[2]) < first:
        return whole  # no valid range: as if it were not there (RFC 9110)
    return Span(first=first, last=last, size=size) if first < size else None


async def _chunks(file: IO[bytes], span: Span, goes_on: Callable[[], bool]) -> AsyncIterator[bytes]:
    left, checked = span.length, time.monotonic()
    with file:
        file.seek(span.first)
        while left > 0:
            if time.monotonic() - checked > CHECK_SECONDS:
                if not await run_in_threadpool(goes_on):
                    raise ConnectionAbortedError("the key was revoked, or the file deleted or hidden")
                checked = time.monotonic()
            piece = await run_in_threadpool(file.read, min(CHUNK, left))
            if not piece:
                raise ConnectionAbortedError("the file is shorter than it was")
            left -= len(piece)
            yield piece
