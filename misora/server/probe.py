"""The process that looks at a stranger's file: counts its frames without decoding all of them, with little memory and time.

``python -m misora.server.probe FILE`` writes one line of JSON; with a folder as well, a few of its pictures into that. Headers lie, so
packets are counted. It knows nothing of who asks.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import sys
import zlib
from pathlib import Path

from misora.client.errors import MediaError
from misora.media.child import _confine
from misora.media.limits import LIMITS

CEILINGS = dataclasses.replace(LIMITS, child_seconds=20, child_bytes=4_000_000_000)
PICTURES = 5  # of an upload that are looked at


def look(path: str) -> dict[str, object]:
    """Width, height and seconds, or what is wrong."""
    from misora.media.decode import open_file, rgb_frames

    try:
        width, height, _ = next(iter(rgb_frames(path, CEILINGS)))
        container, stream, info = open_file(path, CEILINGS)
        with container:
            count = 0
            for packet in container.demux(stream):
                count += packet.size > 0
                CEILINGS.check_progress(count, 0, (count - 1) / info.frame_rate)
    except MediaError as error:
        return {"error": str(error)}
    except Exception:  # the demuxer's own errors on damaged files
        return {"error": "the file is damaged or cut short; export it again."}
    return {"width": width, "height": height, "seconds": count / info.frame_rate}


def pictures(path: str, folder: Path) -> dict[str, object]:
    """Write ``PICTURES`` frames, evenly from the first to the last, as PNG; or say what is wrong."""
    from misora.media.decode import rgb_frames

    told = look(path)
    if "error" in told:
        return told
    folder.mkdir(exist_ok=True)
    try:
        count = sum(1 for _ in rgb_frames(path, CEILINGS))
        wanted = {round(index * (count - 1) / (PICTURES - 1)) for index in range(PICTURES)}
        for index, (width, height, data) in zip(sorted(wanted), rgb_frames(path, CEILINGS, wanted), strict=False):
            (folder / f"{index:05}.png").write_bytes(png(width, height, bytes(data)))
    except MediaError as error:
        return {"error": str(error)}
    return {"pictures": len(wanted)}


def png(width: int, height: int, rgb: bytes) -> bytes:
    """A picture of 8 bits a channel, row after row unfiltered (ISO 15948): this process does without torch, and so starts at once."""
    rows = b"".join(b"\0" + rgb[3 * width * row : 3 * width * (row + 1)] for row in range(height))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    framed = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


if __name__ == "__main__":
    _confine(CEILINGS)
    print(json.dumps(pictures(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) > 2 else look(sys.argv[1])))
