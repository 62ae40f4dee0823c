"""Decodes every frame of one video and prints what it found; fails when there is none. It knows nothing of who wrote the file."""

from __future__ import annotations

import sys

import av


def main(path: str) -> int:
    """0 when ``path`` holds a 4-second video that decodes to the end."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        seconds = frames / float(stream.average_rate or 1)
        print(f"{path}: {frames} frames, {stream.width}x{stream.height}, {seconds:.2f} s")
    return int(abs(seconds - 4) > 0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
