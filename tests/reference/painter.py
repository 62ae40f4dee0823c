"""The slow twin of the painter's stream: the whole clip and the whole picture at once; it knows nothing of bands, strips or waiting."""

from __future__ import annotations

import torch
from torch import Tensor

from misora.model.painter import Painter, View, fetched


def paint(painter: Painter, native: Tensor, size: tuple[int, int]) -> Tensor:
    """native [t 3 h w], one shot, to [2t 3 H W]; the last frame is there twice."""
    view = View((native.shape[2], native.shape[3]), size)
    row = torch.cat((native[:1], native, native[-1:], native[-1:]))  # t+3 3 h w
    whole = painter.paint(native, painter.read(row[:-1].unfold(0, 3, 1).movedim(-1, 1)), view)  # t 3 H W
    found = painter.motion(row.unfold(0, 4, 1).movedim(-1, 1)[: len(native) - 1])  # t-1 5 h w
    half = fetched(whole[:-1], whole[1:], found, view, (0, size[0]), (0, size[1]))  # t-1 3 H W
    return torch.stack((whole, torch.cat((half, whole[-1:]))), 1).flatten(0, 1)
