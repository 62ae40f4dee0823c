"""Where the pixels of a picture lie on the smaller one that it is an enlargement of; it knows nothing of networks or of time."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

UNFOLD = 4  # target pixels along the side of a cell in which the painter works; also the least enlargement that it makes

NEAR = 1.25  # enlargements up to this are bicubic: at 1 the painter's detail is worth .1 dB, at 1.5 already 1 dB (measured: LOG.md)


class View:
    """A window of ``size`` (h, w) on a native picture that is enlarged to ``cover`` it, both centred.

    ``cells``: rows and columns of 4x4 pixels, the last of which may stick out. What is laid out once is kept.
    """

    def __init__(self, native: tuple[int, int], size: tuple[int, int], device: torch.device | None = None) -> None:
        self.native, self.size, self.device = native, size, device
        scale = max(size[0] / native[0], size[1] / native[1])
        # Whole pixels, as many left over on one side as on the other: no side is stretched by more than one of them.
        overlap = [max(0, round((side * scale - wanted) / 2)) for side, wanted in zip(native, size, strict=True)]
        self.top, self.left = overlap
        self.cover = size[0] + 2 * self.top, size[1] + 2 * self.left
        self.scale = self.cover[0] / native[0], self.cover[1] / native[1]
        self.near = max(self.scale) <= NEAR
        self.cells = math.ceil(size[0] / UNFOLD), math.ceil(size[1] / UNFOLD)
        self.aligned = self.cells == native and self.cover == (UNFOLD * native[0], UNFOLD * native[1])
        self._kept: dict[tuple[int, int], Tensor] = {}
        self._phase: Tensor | None = None

    def places(self, axis: int, first: int, last: int, side: int) -> Tensor:
        """Where the middles of squares of ``side`` target pixels lie, in native pixels from the middle of the first one."""
        middles = (torch.arange(first, last, device=self.device) + 0.5) * side + (self.top, self.left)[axis]
        return middles / self.scale[axis] - 0.5

    def pixel(self, axis: int, native: int) -> int:
        """The target pixel at whose beginning a native pixel begins; beyond the picture's edge, the edge."""
        return min(max(round(native * self.scale[axis]) - (self.top, self.left)[axis], 0), self.size[axis])

    def matrix(self, axis: int, side: int) -> Tensor:
        """Weights [n, native] of a bilinear look at the native rows or columns from all squares of ``side`` pixels; edges repeat."""
        if (axis, side) not in self._kept:
            places = self.places(axis, 0, math.ceil(self.size[axis] / side), side)
            taps = places.floor()[:, None] + torch.arange(2, device=self.device)  # n 2
            at = taps.clamp(0, self.native[axis] - 1).long()
            empty = torch.zeros(len(places), self.native[axis], device=self.device)
            self._kept[axis, side] = empty.scatter_add_(1, at, 1 - (taps - places[:, None]).abs())
        return self._kept[axis, side]

    def base(self, frames: Tensor) -> Tensor:
        """Frames [b 3 h w], floats or bytes, enlarged by bicubic interpolation: [b 3 H W]."""
        large = F.interpolate(frames, size=self.cover, mode="bicubic", antialias=True)  # says a = -.5, as bytes have it in any case
        return large[:, :, self.top : self.top + self.size[0], self.left : self.left + self.size[1]]

    def at_cells(self, x: Tensor, top: int, end: int) -> Tensor:
        """Channels [b c h w], channels last, at the middles of some rows of cells: [b c end-top w/4]."""
        if self.aligned:
            return x[:, :, top:end]
        down, across = self.matrix(0, UNFOLD)[top:end], self.matrix(1, UNFOLD)
        b, c, _, w = x.shape
        many = x.permute(0, 2, 3, 1).flatten(2)  # b h w*c, as it lies in memory
        rows = (down.to(x.dtype) @ many).view(b, end - top, w, c)
        return torch.matmul(across.to(x.dtype), rows).permute(0, 3, 1, 2)  # b c rows columns

    def at_pixels(self, x: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
        """Channels [b c h w] seen bilinearly from a window of target pixels, in float32: [b c rows columns]."""
        (y, top, end), (z, left, right) = (self._near(axis, *span) for axis, span in enumerate((rows, columns)))
        with torch.autocast(x.device.type, enabled=False):
            return y @ (x[:, :, top:end, left:right].float() @ z.T)

    def _near(self, axis: int, first: int, last: int) -> tuple[Tensor, int, int]:
        """The weights of some target pixels, and the first and the last native one (exclusive) that they look at."""
        low, high = ((place + 0.5 + (self.top, self.left)[axis]) / self.scale[axis] - 0.5 for place in (first, last - 1))
        start, stop = max(math.floor(low), 0), min(math.floor(high) + 2, self.native[axis])
        return self.matrix(axis, 1)[first:last, start:stop], start, stop

    def phase(self, like: Tensor) -> Tensor:
        """Where in its native pixel each cell lies, on two circles, and how large a native pixel is: [1 5 h/4 w/4], channels last."""
        if self._phase is None or self._phase.dtype != like.dtype:
            y, x = (2 * math.pi * self.places(axis, 0, self.cells[axis], UNFOLD) for axis in (0, 1))
            rows, columns = torch.stack((y.sin(), y.cos()))[:, :, None], torch.stack((x.sin(), x.cos()))[:, None]  # 2 n 1, 2 1 m
            size = torch.full((1, *self.cells), math.log2(max(self.scale) / UNFOLD), device=self.device)
            planes = torch.cat((rows.expand(-1, *self.cells), columns.expand(-1, *self.cells), size))  # 5 n m
            self._phase = planes[None].to(like.dtype, memory_format=torch.channels_last)
        return self._phase
