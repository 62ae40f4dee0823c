"""The process that looks at a stranger's file: counts its frames without decoding all of them, with little memory and time.

``python -m misora.server.probe FILE`` writes one line of JSON; it knows nothing of who asks. Headers lie, so packets are counted.
"""

from __future__ import annotations

import dataclasses
import json
import sys

from misora.client.errors import MediaError
from misora.media.child import _confine
from misora.media.limits import LIMITS

CEILINGS = dataclasses.replace(LIMITS, child_seconds=20, child_bytes=2_000_000_000)


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


if __name__ == "__main__":
    _confine(CEILINGS)
    print(json.dumps(look(sys.argv[1])))
