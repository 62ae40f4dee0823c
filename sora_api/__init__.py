"""The small client of 2024, so that code written then runs as it stands; it knows nothing but ``misora.client``.

    from sora_api import SoraClient
    result = SoraClient(api_key="…").generate_video(text_prompt="…", duration=20, aspect="16:9", res="1080p", quality="high")
    print(result.video_url)

The server is ``base_url``, else ``MISORA_BASE_URL``, else this machine.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from misora.client.errors import ServerError as ApiException
from misora.client.errors import UsageError
from misora.client.http import Client

RESOLUTIONS = {"480p": 480, "720p": 720, "1080p": 1080}  # the shorter side
QUALITIES = {"low": "sora-2", "standard": "sora-2", "medium": "sora-2", "high": "sora-2-pro"}
LINK_SECONDS = 24 * 3600

__all__ = ["ApiException", "SoraClient", "VideoResult"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoResult:
    """A finished video: ``video_url`` opens without a key for a day."""

    id: str
    video_url: str
    duration: int
    size: str


class SoraClient:
    """``generate_video`` waits until the video is there. Raises ApiException for what the server refuses."""

    def __init__(self, api_key: str, base_url: str | None = None) -> None:
        self._client = Client(api_key=api_key, base_url=base_url)

    def generate_video(
        self, text_prompt: str, duration: int = 5, aspect: str = "16:9", res: str = "720p", quality: str = "standard"
    ) -> VideoResult:
        """A video of ``duration`` seconds (4 to 20), an aspect such as ``16:9``, ``9:16`` or ``1:1``, and a height such as ``1080p``."""
        if quality not in QUALITIES:
            raise ApiException(f"The quality {quality!r} is not known; choose {', '.join(QUALITIES)}.")
        asked: dict[str, Any] = {"seconds": str(duration), "size": size_of(aspect, res), "model": QUALITIES[quality]}
        try:
            video = self._client.generate(text_prompt, **asked)
            url = self._client.link(video.id, seconds=LINK_SECONDS)
        except UsageError as error:
            raise ApiException(str(error)) from None
        return VideoResult(id=video.id, video_url=url, duration=int(video.seconds), size=video.size)


def size_of(aspect: str, res: str) -> str:
    """``WIDTHxHEIGHT`` for an aspect and a resolution; sides are even. Raises ApiException."""
    shape = re.fullmatch(r"([1-9]\d?):([1-9]\d?)", aspect)
    if shape is None or res not in RESOLUTIONS:
        raise ApiException(f"{aspect} at {res} is not known; give an aspect such as 16:9 and one of {', '.join(RESOLUTIONS)}.")
    wide, high = int(shape[1]), int(shape[2])
    short = RESOLUTIONS[res]
    long = 2 * round(short * max(wide, high) / min(wide, high) / 2)
    return f"{long}x{short}" if wide >= high else f"{short}x{long}"
