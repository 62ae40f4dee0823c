"""The process in which a stranger's file is decoded: it gives itself little memory and time, and knows nothing of who asked.

``python -m misora.media.child FILE OUT LIMITS`` writes raw RGB to OUT and one line of JSON to standard output.
"""

from __future__ import annotations

import contextlib
import json
import sys

from misora.client.errors import MediaError
from misora.media.limits import Limits


def main(path: str, out: str, limits: Limits) -> dict[str, object]:
    """Decode ``path`` into ``out`` (all frames, RGB, one after the other) and say what is there, or what is wrong."""
    _confine(limits)
    from misora.media.decode import open_file, rgb_frames

    try:
        container, _, info = open_file(path, limits)
        container.close()
        count, shape, told = 0, (0, 0), list[str]()
        with open(out, "wb") as file:
            for width, height, data in rgb_frames(path, limits, None, told):
                if count and shape != (height, width):
                    raise MediaError("The clip changes its size half-way; export it again with one size.")
                count, shape = count + 1, (height, width)
                file.write(data)
    except MediaError as error:
        return {"error": str(error)}
    return {"shape": [count, *shape, 3], "frame_rate": info.frame_rate, "told": told}


def _confine(limits: Limits) -> None:
    try:
        import resource
    except ImportError:  # not POSIX: the parent's timeout is what is left
        return
    for what, value in ((resource.RLIMIT_AS, limits.child_bytes), (resource.RLIMIT_CPU, limits.child_seconds)):
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(what, (value, value))


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], Limits(**json.loads(sys.argv[3])))))
