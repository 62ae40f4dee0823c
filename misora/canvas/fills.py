"""The fills: each verb's way to fill a canvas, and the noise levels of its frames; it knows nothing of networks or of files.

Serving calls the fills that return a ``Canvas``; training (``draw.py``) draws from the same levels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from misora.canvas.canvas import SHOWN, Canvas


def text(*, kinds: str, channels: int, height: int, width: int, batch: int = 1) -> Canvas:
    """Text to video: everything is to be invented. ``height`` and ``width`` are in latents, both even."""
    frames = len(kinds)
    return Canvas(
        given=torch.zeros(batch, channels, frames, height, width),  # b c t h w
        level=torch.ones(batch, frames, height, width),  # b t h w
        kinds=kinds,
        times=torch.arange(frames, dtype=torch.float32),  # t
        roles=torch.full((frames,), SHOWN),  # t
    )


def image(*, channels: int, height: int, width: int, batch: int = 1) -> Canvas:
    """Text to image: a video of one frame."""
    return text(kinds="S", channels=channels, height=height, width=width, batch=batch)


def keep_ends(frames: int, first: Tensor, last: Tensor) -> Tensor:
    """Levels [b, t] that keep the ``first`` [b] and the ``last`` [b] latent frames and invent what lies between.

    One frame at the start animates an image, more extend a clip; frames at the end extend backward; both ends connect two clips.
    """
    index = torch.arange(frames)  # t
    invented = (index >= first[:, None]) & (index < frames - last[:, None])  # b t
    return invented.float()


def staircase(frames: int, start: Tensor, rise: Tensor) -> Tensor:
    """Levels [b, t] that rise along the clip from ``start`` [b] by ``rise`` [b] in all, cut to 0..1: a window that slides."""
    slope = torch.linspace(0, 1, frames)  # t
    return (start[:, None] + rise[:, None] * slope).clamp(0, 1)
