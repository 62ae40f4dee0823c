"""Which way up a picture is to be shown, by the EXIF in its file, mirrored ways too; it knows nothing of pixels.

libav's own word for it is an angle alone, which takes a mirrored picture for a turned one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ORIENTATION = 0x0112  # tag of the first directory, EXIF 2.32, section 4.6.4
SHORT = 3  # the tag's type: two bytes
AS_IT_IS = 1
START_OF_SCAN = 0xDA  # of a JPEG's markers: behind it come pixels


def orientation(path: str | Path, demuxer: str) -> int:
    """1 to 8 as EXIF counts them; 1 where the file says nothing that can be read."""
    chunks = {"jpeg_pipe": _jpeg, "png_pipe": _png, "webp_pipe": _webp}.get(demuxer)
    if chunks is None:
        return AS_IT_IS
    data = Path(path).read_bytes()
    found = next((_tag(chunk) for chunk in chunks(data)), AS_IT_IS)
    return found if 1 <= found <= 8 else AS_IT_IS


def _jpeg(data: bytes) -> Iterator[bytes]:
    place = 2
    while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] not in (b"", bytes([START_OF_SCAN])):
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if data[place + 1] == 0xE1 and data[place + 4 : place + 10] == b"Exif\0\0":
            yield data[place + 10 : place + 2 + length]
        place += 2 + max(2, length)


def _png(data: bytes) -> Iterator[bytes]:
    place = 8
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        if data[place + 4 : place + 8] == b"eXIf":
            yield data[place + 8 : place + 8 + length]
        place += 12 + length


def _webp(data: bytes) -> Iterator[bytes]:
    place = 12
    while place + 8 <= len(data):
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        if data[place : place + 4] == b"EXIF":
            yield data[place + 8 : place + 8 + length].removeprefix(b"Exif\0\0")
        place += 8 + length + length % 2


def _tag(tiff: bytes) -> int:
    """The orientation in an EXIF block, which is a small TIFF; 1 where there is none."""
    if tiff[:2] not in (b"II", b"MM"):
        return AS_IT_IS

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], "little" if tiff[:2] == b"II" else "big")

    first = number(4, 4) + 2
    for entry in range(first, min(first + 12 * number(first - 2, 2), len(tiff) - 11), 12):
        if number(entry, 2) == ORIENTATION and number(entry + 2, 2) == SHORT:
            return number(entry + 8, 2)
    return AS_IT_IS
