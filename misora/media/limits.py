"""What a file from a stranger may be: kinds by their first bytes, and ceilings; it knows nothing of decoding."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from misora.client.errors import MediaError

CODECS = "h264,hevc,av1,libdav1d,vp8,vp9,mpeg4,mjpeg,png,apng,gif,webp,libvpx,libvpx-vp9,prores"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Ceilings for one file. A 198 kB file can hold 8192 x 8192 frames and a 445 kB one 30 000 frames, so bytes alone protect nobody."""

    file_bytes: int = 200_000_000
    side: int = 4096  # pixels
    pixels: int = 8_900_000  # per frame
    seconds: float = 60.0
    frames: int = 3600  # counted while decoding: a header may lie
    frame_rate: float = 120.0
    decoded_bytes: int = 2_000_000_000  # of RGB, all frames together
    child_seconds: int = 60  # processor seconds of the decoding child
    child_bytes: int = 4_000_000_000  # address space of the decoding child

    def check_frame(self, width: int, height: int) -> None:
        """Raise MediaError unless a frame of this size may be decoded."""
        if not 0 < width <= self.side or not 0 < height <= self.side or width * height > self.pixels:
            raise MediaError(
                f"The picture is {width}x{height}; scale it to at most {self.side} pixels a side and {self.pixels:,} pixels in all."
            )

    def check_progress(self, frames: int, size: int, seconds: float) -> None:
        """Raise MediaError once ``frames`` frames of ``size`` bytes in all, lasting ``seconds``, are more than may be read."""
        if frames > self.frames or seconds > self.seconds:
            raise MediaError(f"The clip is longer than {self.seconds:g} seconds or {self.frames} frames; cut it first.")
        if size > self.decoded_bytes:
            raise MediaError("The clip does not fit in memory once decoded; scale it down or cut it first.")


LIMITS = Limits()


def sniff(path: str | Path, limits: Limits = LIMITS) -> str:
    """The demuxer to force for a file, from its first bytes: ``mov``, ``matroska``, ``png_pipe``, ``jpeg_pipe``, ``webp_pipe``, ``gif``.

    The name's ending is never asked: a text file ``ffconcat`` named ``.mp4`` would have the library open other local files.
    Raises MediaError for a missing, empty, too large or unknown file.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise MediaError(f"{path} is not a file; check the name.")
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise MediaError(f"Cannot read {path}: {error.strerror}.") from None
    if size > limits.file_bytes:
        raise MediaError(f"{path.name} is {size / 1e6:.0f} MB; at most {limits.file_bytes / 1e6:.0f} MB can be read.")
    return _demuxer(head, path.name)


def _demuxer(head: bytes, name: str) -> str:
    if head[4:8] == b"ftyp":
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "png_pipe"
    if head[:3] == b"\xff\xd8\xff":
        return "jpeg_pipe"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp_pipe"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    raise MediaError(f"{name} is no video or image known here; give MP4, MOV, WebM, GIF, PNG, JPEG or WebP.")
