"""Many frames in one picture: thumbnails, spritesheets and contact sheets; it knows nothing of files."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad


def thumbnail(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """A frame [h, w, 3] uint8 fitted inside ``size`` (h, w), aspect kept, centred on black: [size h, size w, 3] uint8."""
    scale = min(size[0] / frame.shape[0], size[1] / frame.shape[1])
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    pixels = frame.permute(2, 0, 1)[None].float()  # 1 3 h w
    small = interpolate(pixels, size=(height, width), mode="bicubic", antialias=True)[0]  # 3 h w
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    framed = pad(small, (left, size[1] - width - left, top, size[0] - height - top))  # 3 h w
    return framed.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)


def evenly(frames: Tensor, count: int) -> Tensor:
    """``count`` frames spread evenly over a clip [t, h, w, 3], first and last included: [count, h, w, 3]."""
    return frames[torch.linspace(0, len(frames) - 1, count).round().long()]


def spritesheet(frames: Tensor, columns: int = 5, count: int = 25, size: tuple[int, int] = (96, 176)) -> Tensor:
    """One clip as a grid read like a page, ``columns`` wide: [rows * h, columns * w, 3] uint8."""
    return contact_sheet(torch.split(evenly(frames, count), columns), columns, size)


def contact_sheet(clips: Sequence[Tensor], columns: int = 5, size: tuple[int, int] = (96, 176), gap: int = 0) -> Tensor:
    """A row for each clip [t, h, w, 3], ``columns`` evenly spaced frames in it: [rows * (h + gap), columns * (w + gap), 3] uint8."""
    rows = []
    for clip in clips:
        cells = [thumbnail(frame, size) for frame in (clip if len(clip) < columns else evenly(clip, columns))]
        cells += [torch.zeros(*size, 3, dtype=torch.uint8)] * (columns - len(cells))
        rows.append(torch.cat([pad(cell, (0, 0, 0, gap, 0, gap), value=255) for cell in cells], dim=1))  # h w 3
    return torch.cat(rows)
