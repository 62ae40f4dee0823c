"""Files that come with a request: stored, sniffed and probed in a child process before a job may lean on them; it knows no route."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from starlette.datastructures import UploadFile

from misora.client.errors import MediaError
from misora.media.limits import LIMITS, sniff
from misora.server import fetch
from misora.server.api import files
from misora.server.api.errors import ApiError, invalid
from misora.server.api.fields import Field
from misora.server.api.services import Services
from misora.server.queue import publishing

PROBE_SECONDS = 60
IMAGES, VIDEOS = ("png_pipe", "jpeg_pipe", "webp_pipe"), ("mov", "matroska")
IMAGE_URL = Field(
    name="image_url", kind="text", says="An http(s) address or a data URL of a JPEG, PNG or WebP picture.", least=1, most=20_971_520
)
FILE_ID = Field(name="file_id", kind="text", says="A file of yours, from POST /files.", least=1, most=200)
VIDEO_ID = Field(name="id", kind="text", says="The name of a completed video of yours.", least=1, most=200)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Input:
    """A stored and checked file: its name below the data folder and what it says of itself."""

    file: str
    kind: str  # image | video
    width: int
    height: int
    seconds: float


def take(services: Services, folder: str, value: Any, param: str, kinds: tuple[str, ...], account_id: str) -> Input:
    """Store what a ``source`` field holds (a file part, ``{image_url}`` or ``{file_id}``) in ``folder`` and check it. Raises ApiError."""
    if isinstance(value, UploadFile):
        return _store(services, folder, value.file, param, kinds)
    if "file_id" in value:
        row = files.find(services, value["file_id"], account_id, f"{param}.file_id", 400)
        with files.opened(services, row["id"], f"{param}.file_id") as kept:
            return _store(services, folder, kept, param, kinds)
    return _store(services, folder, io.BytesIO(_fetched(value["image_url"], f"{param}.image_url")), param, kinds)


def _fetched(url: str, param: str) -> bytes:
    if not url.startswith("data:"):
        try:
            return fetch.get(url, most=fetch.IMAGE_BYTES)
        except fetch.FetchError as error:
            raise invalid(param, str(error)) from None
    head, comma, body = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise invalid(param, "The data URL cannot be read; write it as data:image/png;base64,…")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise invalid(param, "The data URL holds no valid base64.") from None


def _store(services: Services, folder: str, file: IO[bytes], param: str, kinds: tuple[str, ...]) -> Input:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size > LIMITS.file_bytes:
        raise ApiError(413, f"'{param}' has {size:,} bytes; at most {LIMITS.file_bytes:,} are taken.", param=param, code="too_large")
    if publishing.barred(services.store, _digest(file)):
        raise ApiError(403, "This file was reported and may not be uploaded again.", param=param, code="file_blocked")
    file.seek(0)
    name = f"{folder}/{re.sub('[^a-z_0-9]+', '-', param)}.bin"
    path = services.files.keep(name, file)
    try:
        found = probe(path, kinds)
    except MediaError as error:
        path.unlink(missing_ok=True)
        raise invalid(param, f"Invalid '{param}': {str(error).replace(path.name, 'the file')}", "invalid_file") from None
    return Input(file=name, **found)


def pictures(services: Services, name: str) -> list[Path]:
    """A few pictures (PNG) of a stored upload beside it, for those who look at them. Raises ApiError."""
    path = services.files.path(name)
    folder = path.with_suffix(".pictures")
    command = [sys.executable, "-m", "misora.server.probe", str(path), str(folder)]
    try:
        answer = json.loads(subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=False).stdout)
    except (subprocess.TimeoutExpired, ValueError):
        answer = {"error": "it took too long"}
    if "error" in answer:
        raise ApiError(400, f"The upload could not be looked at: {answer['error']}", code="invalid_file")
    return sorted(folder.glob("*.png"))


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def probe(path: Path, kinds: tuple[str, ...]) -> dict[str, Any]:
    """What a stranger's file is, looked at by a child process with little memory and time. Raises MediaError."""
    demuxer = sniff(path)
    if demuxer not in kinds:
        wanted = "a JPEG, PNG or WebP picture" if kinds == IMAGES else "an MP4 or WebM video"
        raise MediaError(f"the file is not {wanted}.")
    command = [sys.executable, "-m", "misora.server.probe", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=False)
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        raise MediaError("the file could not be read within the limits; export it again, smaller.") from None
    if "error" in answer:
        raise MediaError(answer["error"])
    return {"kind": "image" if demuxer in IMAGES else "video", **answer}
