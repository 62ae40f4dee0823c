"""The Videos API from Python without torch and without any library: ``Client(base_url=…, api_key=…).generate("a red ball")``.

It knows nothing of how a server makes videos. ``AsyncClient`` has the same methods to be awaited; each runs in a thread.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import os
import secrets
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from misora.client.errors import ServerError, UsageError
from misora.client.wire import Video

BASE_URL = "http://127.0.0.1:8000/v1"
TIMEOUT, POLL = 600.0, 1.0  # seconds
RETRIED = (408, 429, 500, 502, 503, 504)
TRIES = 3
Fields = Mapping[str, Any]  # files are bytes or paths


class Client:
    """One server and one key. ``base_url`` and ``api_key`` default to ``MISORA_BASE_URL`` and ``MISORA_API_KEY``. Raises ServerError."""

    def __init__(self, *, api_key: str | None = None, base_url: str | None = None, timeout: float = TIMEOUT) -> None:
        self.base_url = (base_url or os.environ.get("MISORA_BASE_URL") or BASE_URL).rstrip("/")
        if not self.base_url.startswith(("http://", "https://")):
            raise UsageError(f"{self.base_url} is no server's address; write it as http://host:port/v1.")
        if not urllib.parse.urlsplit(self.base_url).path:
            self.base_url += "/v1"
        self._key = api_key or os.environ.get("MISORA_API_KEY") or ""
        if not self._key:
            raise UsageError("A server needs a key; give api_key, or set MISORA_API_KEY.")
        self.timeout = timeout

    def create(self, prompt: str, **fields: Any) -> Video:
        """Ask for a video; ``seconds``, ``size``, ``seed``, ``input_reference`` (bytes or a path) and the others of the API."""
        return Video.of(self._send("POST", "/videos", {"prompt": prompt} | fields))

    def retrieve(self, video_id: str) -> Video:
        """How a video is doing."""
        return Video.of(self._send("GET", f"/videos/{_quoted(video_id)}"))

    def list(self, *, limit: int = 100, order: str = "desc") -> Iterator[Video]:
        """Every video of the account, page by page."""
        after = ""
        while True:
            query = {"limit": limit, "order": order} | ({"after": after} if after else {})
            page = self._send("GET", f"/videos?{urllib.parse.urlencode(query)}")
            yield from map(Video.of, page["data"])
            if not page["has_more"] or not page["data"]:
                return
            after = page["last_id"]

    def delete(self, video_id: str) -> None:
        """Erase a video, or stop it."""
        self._send("DELETE", f"/videos/{_quoted(video_id)}")

    def remix(self, video_id: str, prompt: str, **fields: Any) -> Video:
        """A finished video reworked."""
        return Video.of(self._send("POST", f"/videos/{_quoted(video_id)}/remix", {"prompt": prompt} | fields))

    def edit(self, prompt: str, video: str | bytes | Path, **fields: Any) -> Video:
        """A video (its id, its bytes or its path) changed."""
        return Video.of(self._send("POST", "/videos/edits", {"prompt": prompt, "video": _source(video)} | fields))

    def extend(self, prompt: str, video: str | bytes | Path, seconds: int = 4, **fields: Any) -> Video:
        """A video with ``seconds`` more."""
        asked = {"prompt": prompt, "video": _source(video), "seconds": str(seconds)}
        return Video.of(self._send("POST", "/videos/extensions", asked | fields))

    def image(self, prompt: str, **fields: Any) -> bytes:
        """One picture from a sentence, as the bytes of a file; ``size``, ``seed``, ``output_format`` and the others of the API."""
        told = self._send("POST", "/images/generations", {"prompt": prompt} | fields)
        return base64.b64decode(told["data"][0]["b64_json"])

    def wait(self, video_id: str, *, seconds: float = 0.0, progress: Callable[[Video], None] = lambda video: None) -> Video:
        """The video once it is finished, also when it failed; at most ``seconds`` unless that is 0."""
        end = time.monotonic() + seconds if seconds else float("inf")
        while True:
            video = self.retrieve(video_id)
            progress(video)
            if video.finished:
                return video
            if time.monotonic() > end:
                raise ServerError(f"{video_id} was not finished within {seconds:g} seconds; it goes on, ask again later.")
            time.sleep(POLL)

    def generate(self, prompt: str, *, progress: Callable[[Video], None] = lambda video: None, **fields: Any) -> Video:
        """A finished video. Raises ServerError when it failed."""
        return self.finish(self.create(prompt, **fields), progress=progress)

    def finish(self, video: Video, *, progress: Callable[[Video], None] = lambda video: None) -> Video:
        """The same video, finished. Raises ServerError when it failed."""
        video = self.wait(video.id, progress=progress)
        if video.status != "completed":
            error = video.error or {}
            raise ServerError(str(error.get("message") or "The video failed."), code=error.get("code"))
        return video

    def download(self, video_id: str, path: str | Path, variant: str = "video") -> Path:
        """Write a finished video (or its ``thumbnail``, ``spritesheet``) to ``path``, whole or not at all."""
        target = Path(path)
        beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            with (
                self._open("GET", f"/videos/{_quoted(video_id)}/content?variant={variant}") as answer,
                beside.open("wb") as file,
                _unbroken(),
            ):
                shutil.copyfileobj(answer, file)
                if answer.length:
                    raise ServerError("The download ended early; try again.")
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
        return target

    def link(self, video_id: str, *, seconds: int = 3600, variant: str = "video") -> str:
        """An address of the file that opens without a key until it expires."""
        return str(self._send("POST", f"/misora/videos/{_quoted(video_id)}/link", {"seconds": seconds, "variant": variant})["url"])

    def _send(self, method: str, path: str, fields: Fields | None = None) -> Any:
        for again in range(TRIES):
            try:
                with self._open(method, path, fields) as answer, _unbroken():
                    return json.load(answer)
            except ServerError as error:
                # A POST that no answer came to may have been done: of those only what the server itself refused is asked again.
                if not (error.status in RETRIED or (not error.status and method == "GET")) or again == TRIES - 1:
                    raise
                time.sleep(min(error.retry_after or 0.5 * 2**again, 30))
        raise AssertionError("unreachable")

    def _open(self, method: str, path: str, fields: Fields | None = None) -> http.client.HTTPResponse:
        kind, body = _body(fields) if fields is not None else (None, None)
        headers = {"Authorization": f"Bearer {self._key}", "User-Agent": "misora"} | ({"Content-Type": kind} if kind else {})
        request = urllib.request.Request(self.base_url + path, data=body, headers=headers, method=method)
        try:
            return urllib.request.urlopen(request, timeout=self.timeout)  # type: ignore[no-any-return]
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise ServerError(f"{self.base_url} could not be reached ({reason}); is the server running?") from None


@contextlib.contextmanager
def _unbroken() -> Iterator[None]:
    """Raise ServerError when the answer breaks off."""
    try:
        yield
    except (ConnectionError, TimeoutError, http.client.HTTPException):
        raise ServerError("The server's answer broke off; try again.") from None


def _refusal(error: urllib.error.HTTPError) -> ServerError:
    try:
        told = json.load(error)["error"]
    except (ValueError, KeyError, TypeError):
        told = {"message": f"The server answered with status {error.code}."}
    after = error.headers.get("retry-after", "")
    wait = float(after) if after.isdigit() else 0.0
    found = {name: told.get(name) for name in ("code", "param")}
    return ServerError(str(told.get("message")), status=error.code, request_id=error.headers.get("x-request-id"), retry_after=wait, **found)


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")


def _source(video: str | bytes | Path) -> Any:
    return {"id": video} if isinstance(video, str) else video


def _body(fields: Fields) -> tuple[str, bytes]:
    """JSON, or a form where a field is a file."""
    if not any(isinstance(value, bytes | Path) for _, value in _leaves("", fields)):
        told = {name: str(value) if name == "seconds" and "prompt" in fields else value for name, value in fields.items()}
        return "application/json", json.dumps(told).encode()
    boundary = secrets.token_hex(16)
    parts = [_part(name, value, boundary) for name, value in _leaves("", fields)]
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + f"--{boundary}--\r\n".encode()


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _leaves(f"{prefix}[{name}]" if prefix else name, each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(f"{prefix}[]", each)
    elif value is not None:
        yield prefix, value


def _part(name: str, value: Any, boundary: str) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
    if isinstance(value, bytes | Path):
        data = value if isinstance(value, bytes) else value.read_bytes()
        return f'{head}; filename="upload"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode() + data + b"\r\n"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"{head}\r\n\r\n{text}\r\n".encode()


class AsyncClient:
    """The same to be awaited: ``await AsyncClient(api_key=…).generate("a red ball")``."""

    def __init__(self, *, api_key: str | None = None, base_url: str | None = None, timeout: float = TIMEOUT) -> None:
        self.sync = Client(api_key=api_key, base_url=base_url, timeout=timeout)

    async def create(self, prompt: str, **fields: Any) -> Video:
        """As ``Client.create``."""
        return await asyncio.to_thread(self.sync.create, prompt, **fields)

    async def retrieve(self, video_id: str) -> Video:
        """As ``Client.retrieve``."""
        return await asyncio.to_thread(self.sync.retrieve, video_id)

    async def list(self, *, limit: int = 100, order: str = "desc") -> list[Video]:
        """Every video of the account."""
        return await asyncio.to_thread(lambda: list(self.sync.list(limit=limit, order=order)))

    async def delete(self, video_id: str) -> None:
        """As ``Client.delete``."""
        await asyncio.to_thread(self.sync.delete, video_id)

    async def remix(self, video_id: str, prompt: str, **fields: Any) -> Video:
        """As ``Client.remix``."""
        return await asyncio.to_thread(self.sync.remix, video_id, prompt, **fields)

    async def edit(self, prompt: str, video: str | bytes | Path, **fields: Any) -> Video:
        """As ``Client.edit``."""
        return await asyncio.to_thread(self.sync.edit, prompt, video, **fields)

    async def extend(self, prompt: str, video: str | bytes | Path, seconds: int = 4, **fields: Any) -> Video:
        """As ``Client.extend``."""
        return await asyncio.to_thread(self.sync.extend, prompt, video, seconds, **fields)

    async def image(self, prompt: str, **fields: Any) -> bytes:
        """As ``Client.image``."""
        return await asyncio.to_thread(self.sync.image, prompt, **fields)

    async def link(self, video_id: str, *, seconds: int = 3600, variant: str = "video") -> str:
        """As ``Client.link``."""
        return await asyncio.to_thread(lambda: self.sync.link(video_id, seconds=seconds, variant=variant))

    async def wait(self, video_id: str) -> Video:
        """The video once it is finished; cancelling stops the waiting at once."""
        while not (video := await self.retrieve(video_id)).finished:
            await asyncio.sleep(POLL)
        return video

    async def generate(self, prompt: str, **fields: Any) -> Video:
        """A finished video. Raises ServerError when it failed."""
        return await self.finish(await self.create(prompt, **fields))

    async def finish(self, video: Video) -> Video:
        """As ``Client.finish``."""
        video = await self.wait(video.id)
        if video.status != "completed":
            error = video.error or {}
            raise ServerError(str(error.get("message") or "The video failed."), code=error.get("code"))
        return video

    async def download(self, video_id: str, path: str | Path, variant: str = "video") -> Path:
        """As ``Client.download``."""
        return await asyncio.to_thread(self.sync.download, video_id, path, variant)


__all__ = ["AsyncClient", "Client"]
