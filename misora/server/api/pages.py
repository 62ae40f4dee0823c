"""The studio's files, read once and answered from memory under a strict policy; it knows nothing of what they do."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ROOM = Path(__file__).parents[1] / "studio"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
PAGES = ("watch", "library", "edit", "storyboard", "characters", "feed", "verify", "admin")  # addresses that the studio itself reads
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-cache",
    "vary": "accept-encoding",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """One file as it is sent."""

    kind: str
    plain: bytes
    packed: bytes
    tag: str


def files(room: Path = ROOM) -> dict[str, Page]:
    """Every file of the studio by its path below the room."""
    found = (path for path in sorted(room.rglob("*")) if path.suffix in TYPES)
    return {path.relative_to(room).as_posix(): _page(path) for path in found}


def _page(path: Path) -> Page:
    plain = path.read_bytes()
    tag = f'"{hashlib.sha256(plain).hexdigest()[:24]}"'
    return Page(kind=TYPES[path.suffix], plain=plain, packed=gzip.compress(plain, 9, mtime=0), tag=tag)


def routes() -> list[Route]:
    """The routes of the studio: its one page under each of its addresses, and its files under /studio."""
    held = files()

    async def page(request: Request) -> Response:
        return answer(request, held["index.html"])

    async def file(request: Request) -> Response:
        found = held.get(request.path_params["path"])
        return answer(request, found) if found else Response("There is no such file.", 404, HEADERS, "text/plain")

    addresses = ["/", *(f"/{name}" for name in PAGES), *(f"/{name}/{{rest:path}}" for name in PAGES)]
    return [*(Route(address, page) for address in addresses), Route("/studio/{path:path}", file)]


def answer(request: Request, page: Page) -> Response:
    """The file, packed where the browser can unpack, or 304 where it has it already."""
    headers = HEADERS | {"etag": page.tag}
    if request.headers.get("if-none-match", "").removeprefix("W/") == page.tag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(page.packed, headers=headers | {"content-encoding": "gzip"}, media_type=page.kind)
    return Response(page.plain, headers=headers, media_type=page.kind)
