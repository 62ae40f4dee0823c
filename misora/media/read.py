"""Tensors from video and image files; it knows nothing of what the frames are for."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from misora.client.errors import MediaError
from misora.media.decode import Info, open_file, rgb_frames
from misora.media.limits import LIMITS, Limits


def probe(path: str | Path, limits: Limits = LIMITS) -> Info:
    """What a file says of itself, without decoding it. Raises MediaError."""
    container, _, info = open_file(path, limits)
    container.close()
    return info


def read_notes(path: str | Path, limits: Limits = LIMITS) -> dict[str, str]:
    """The tags of a file: ``description`` holds the prompt of ours, ``comment`` how it was made. Raises MediaError."""
    container, _, _ = open_file(path, limits)
    with container:
        return dict(container.metadata)


def read_video(path: str | Path, limits: Limits = LIMITS) -> tuple[Tensor, float]:
    """All frames [t, h, w, 3] uint8 RGB and the frames per second of a file that we trust. Raises MediaError."""
    frames = []
    for width, height, data in rgb_frames(path, limits):
        frames.append(torch.frombuffer(bytearray(data), dtype=torch.uint8).view(height, width, 3))  # h w 3
        if frames[-1].shape != frames[0].shape:
            raise MediaError("The clip changes its size half-way; export it again with one size.")
    return torch.stack(frames), probe(path, limits).frame_rate


def read_image(path: str | Path, limits: Limits = LIMITS) -> Tensor:
    """The first frame [h, w, 3] uint8 RGB of a file that we trust. Raises MediaError."""
    width, height, data = next(rgb_frames(path, limits))
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).view(height, width, 3)


def read_untrusted(path: str | Path, limits: Limits = LIMITS, told: list[str] | None = None) -> tuple[Tensor, float]:
    """As ``read_video``, for a stranger's file: decoded in a child process with its own ceilings of memory and time. Raises MediaError.

    ``told`` gets what had to be done to make it fit, as ``rgb_frames`` says it. The frames lie in a file without a name, which the system
    brings into memory as they are looked at: most of a long clip is only passed on.
    """
    with tempfile.TemporaryDirectory(prefix="misora-") as folder:
        out = Path(folder) / "frames.rgb"
        command = [sys.executable, "-m", "misora.media.child", str(path), str(out), json.dumps(dataclasses.asdict(limits))]
        try:
            done = subprocess.run(command, capture_output=True, timeout=limits.child_seconds, check=False)
            answer = json.loads(done.stdout)
        except (subprocess.TimeoutExpired, json.JSONDecodeError):
            raise MediaError(f"{Path(path).name} could not be decoded within the limits; export it again, smaller.") from None
        if "error" in answer:
            raise MediaError(answer["error"])
        if told is not None:
            told += answer["told"]
        shape = torch.Size(answer["shape"])
        frames = torch.from_file(str(out), size=shape.numel(), dtype=torch.uint8).view(shape)  # t h w 3
    return frames, float(answer["frame_rate"])
