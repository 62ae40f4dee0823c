"""The slow twin of the painter's stream: the whole clip and the whole picture at once, in floats; it knows nothing of bytes or bands."""

from __future__ import annotations

import torch
from torch import Tensor

from misora.model.brush import moving
from misora.model.painter import Painter
from misora.model.view import View


def paint(painter: Painter, native: Tensor, size: tuple[int, int]) -> Tensor:
    """native [t 3 h w], one shot, to [2t H W 3] in levels of 0..255; the last frame is there twice."""
    view = View((native.shape[2], native.shape[3]), size)
    row = torch.cat((native[:1], native, native[-1:], native[-1:]))  # t+3 3 h w
    whole = painter.paint(native, painter.read(row[:-1].unfold(0, 3, 1).movedim(-1, 1)), view)  # t 3 H W
    found = painter.motion(row.unfold(0, 4, 1).movedim(-1, 1)[: len(native) - 1])  # t-1 5 h w
    found = found * torch.stack([moving(*pair) for pair in zip(native[:-1], native[1:], strict=True)])
    half = painter.between(whole[:-1], whole[1:], found, view)  # t-1 3 H W
    made = torch.stack((whole, torch.cat((half, whole[-1:]))), 1).flatten(0, 1)  # 2t 3 H W
    return (made + 1).mul(127.5).permute(0, 2, 3, 1)
