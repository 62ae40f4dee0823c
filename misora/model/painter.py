"""The painter: native frames at 12 per second become 24 per second at any larger size; it knows nothing of latents, requests or files.

A whole frame is read together with its neighbours at native size; its features are then resampled to a quarter of the wanted size,
worked on there and unfolded 4x4, on top of a bicubic enlargement. The frame half-way to the next one is not invented anew: a field of
displacements, found at native size from four frames, fetches every pixel from the two painted frames. So what stands still stays as it
is, and what moves is not exposed twice.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

UNFOLD = 4  # target pixels along the side of a cell in which the painter works; also the least enlargement that it makes
HALO = 4  # cells around a band that its pixels depend on: four 3x3 convolutions
STILL = 1 / 16  # native pixels: smaller displacements count as none
UNDECIDED = 1 / 4  # smaller logits count as none
STRIP = 16  # native rows in which what moves is looked for together
CUT = 0.2  # mean absolute change, of the range -1..1, from which on two frames are of different shots


@dataclasses.dataclass(frozen=True, kw_only=True)
class PainterConfig:
    """Channels: ``coarse`` at native size, ``fine`` at a quarter of the target, ``motion`` at a quarter of the native size."""

    coarse: int = 32
    fine: int = 64
    motion: int = 64


class View:
    """A window of ``size`` (h, w) on a native picture that is enlarged until it covers it, both centred.

    ``cells``: rows and columns of 4x4 pixels, the last of which may stick out.
    """

    def __init__(self, native: tuple[int, int], size: tuple[int, int], device: torch.device | None = None) -> None:
        self.native, self.size, self.device = native, size, device
        self.scale = max(size[0] / native[0], size[1] / native[1])
        self.cells = math.ceil(size[0] / UNFOLD), math.ceil(size[1] / UNFOLD)
        self._kept: dict[tuple[int, int, int, int, bool], Tensor] = {}

    def places(self, axis: int, first: int, last: int, side: int) -> Tensor:
        """Where the middles of squares of ``side`` target pixels lie, in native pixels from the middle of the first one."""
        middles = (torch.arange(first, last, device=self.device) + 0.5) * side - self.size[axis] / 2
        return middles / self.scale + (self.native[axis] - 1) / 2

    def pixel(self, axis: int, native: float) -> int:
        """The target pixel at whose beginning a native coordinate lies, counted from the native picture's edge."""
        return min(max(round((native - self.native[axis] / 2) * self.scale + self.size[axis] / 2), 0), self.size[axis])

    def matrix(self, axis: int, first: int, last: int, side: int, cubic: bool) -> Tensor:
        """Weights [last - first, native] of a bilinear or bicubic (a = -0.75) look at the native rows or columns; edges repeat."""
        key = axis, first, last, side, cubic
        if key not in self._kept:
            places = self.places(axis, first, last, side)
            start, count = (places.floor() - 1, 4) if cubic else (places.floor(), 2)
            taps = start[:, None] + torch.arange(count, device=self.device)  # n taps
            away = (taps - places[:, None]).abs()
            at = taps.clamp(0, self.native[axis] - 1).long()
            empty = torch.zeros(len(places), self.native[axis], device=self.device)
            self._kept[key] = empty.scatter_add_(1, at, keys(away) if cubic else 1 - away)
        return self._kept[key]


def keys(away: Tensor) -> Tensor:
    """The cubic convolution kernel (R. Keys, 1981) with a = -0.75, for distances of 0..2."""
    a = -0.75
    near = ((a + 2) * away - (a + 3)) * away**2 + 1
    far = ((a * away - 5 * a) * away + 8 * a) * away - 4 * a
    return torch.where(away <= 1, near, torch.where(away < 2, far, 0.0))


class Conv(nn.Conv2d):
    """A 3x3 convolution, weights channels last."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, spread: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride=stride, padding=spread, dilation=spread)
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int, spread: int = 1) -> None:
        super().__init__()
        self.conv_in, self.conv_out = Conv(width, width, spread=spread), Conv(width, width, spread=spread)
        nn.init.zeros_(self.conv_out.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_out(F.relu_(self.conv_in(F.relu(x))))  # type: ignore[no-any-return]


class Motion(nn.Module):
    """From four frames where the pixels of the moment in the middle were before and will be after, and which to believe."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rough = nn.Sequential(
            Conv(12, width // 2, stride=2), nn.ReLU(), Conv(width // 2, width, stride=2), Block(width), Block(width, 2)
        )
        self.rough_out = Conv(width, 5 * 16)
        self.exact = nn.Sequential(Conv(17, width // 2, stride=2), Block(width // 2))
        self.exact_out = Conv(width // 2, 5 * 4)
        for last in (self.rough_out, self.exact_out):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, frames: Tensor) -> Tensor:
        """frames [b 4 3 h w], at -1, 0, 1 and 2: [b 5 h w], displacements (x, y) to frame 0 and to frame 1 in pixels, and a logit of 1."""
        kind, (before, after) = self.rough_out.weight.dtype, (frames[:, 1], frames[:, 2])
        x = self.rough(frames.flatten(1, 2).to(kind, memory_format=torch.channels_last))  # b width h/4 w/4
        found = F.pixel_shuffle(self.rough_out(x).float(), 4)  # b 5 h w
        fetched = fetch(before, found[:, :2]), fetch(after, found[:, 2:4])
        x = torch.cat((before, after, *fetched, found), 1).to(kind, memory_format=torch.channels_last)  # b 17 h w
        found = found + F.pixel_shuffle(self.exact_out(self.exact(x)).float(), 2)  # b 5 h w
        if self.training:  # what is cut off below could never learn to be more than nothing
            return found
        return torch.cat((F.softshrink(found[:, :4], STILL), F.softshrink(found[:, 4:], UNDECIDED)), 1)


def fetch(frames: Tensor, flow: Tensor, top: int = 0, left: int = 0) -> Tensor:
    """frames [b c h w] looked at (bilinearly, edges repeat) at every place of [b 2 y x] plus its displacement (x, y) in pixels.

    The places are a window of the frame that begins at ``top`` and ``left``.
    """
    h, w = frames.shape[-2:]
    x = torch.arange(left, left + flow.shape[3], device=flow.device) + 0.5 + flow[:, 0]  # b y x
    y = torch.arange(top, top + flow.shape[2], device=flow.device)[:, None] + 0.5 + flow[:, 1]  # b y x
    grid = torch.stack((x * (2 / w) - 1, y * (2 / h) - 1), -1)  # b y x 2
    return F.grid_sample(frames.float(), grid, padding_mode="border", align_corners=False)


class Painter(nn.Module):
    """Both halves: whole frames, and the frames between them."""

    def __init__(self, config: PainterConfig) -> None:
        super().__init__()
        self.config = config
        self.coarse = nn.Sequential(Conv(9, config.coarse), Block(config.coarse))
        self.fine = nn.Sequential(Conv(config.coarse + 8, config.fine), Block(config.fine), nn.ReLU())
        self.out = Conv(config.fine, 3 * UNFOLD**2)
        self.motion = Motion(config.motion)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def read(self, frames: Tensor) -> Tensor:
        """frames [b 3 3 h w], the one to be painted between its neighbours: its features and itself, [b coarse+3 h w]."""
        x = frames.flatten(1, 2).to(dtype=self.out.weight.dtype, memory_format=torch.channels_last)  # b 9 h w
        return torch.cat((self.coarse(x), x[:, 3:6]), 1)  # b coarse+3 h w

    def paint(self, frames: Tensor, features: Tensor, view: View, *, band: int | None = None) -> Tensor:
        """frames [b 3 h w] in -1..1 and their features at the size of the view, [b 3 H W]; ``band``: cell rows at a time."""
        step, rows = band or view.cells[0], view.cells[0]
        bands = [self._band(frames, features, view, row, min(row + step, rows)) for row in range(0, rows, step)]
        whole = bands[0] if len(bands) == 1 else torch.cat(bands, 2)
        return whole[:, :, : view.size[0], : view.size[1]]

    def _band(self, frames: Tensor, features: Tensor, view: View, first: int, last: int) -> Tensor:
        """The target rows of the cells ``first`` to ``last``, as wide as whole cells."""
        top, end = max(first - HALO, 0), min(last + HALO, view.cells[0])
        x = torch.cat((cells(features, view, top, end), self._phase(view, top, end, features)), 1)
        x = self.out(self.fine(x))[:, :, first - top : last - top]  # b 48 last-first w/4
        base = pixels(frames, view, (first * UNFOLD, last * UNFOLD), (0, view.cells[1] * UNFOLD), cubic=True)  # b 3 rows w
        return (base + F.pixel_shuffle(x, UNFOLD)).clamp_(-1, 1)

    def _phase(self, view: View, top: int, end: int, like: Tensor) -> Tensor:
        """Where in its native pixel each cell lies, on two circles, and how large a native pixel is: [b 5 end-top w/4]."""
        y, x = (2 * math.pi * view.places(axis, *span, UNFOLD) for axis, span in enumerate(((top, end), (0, view.cells[1]))))
        shape = (end - top, view.cells[1])
        rows, columns = torch.stack((y.sin(), y.cos()))[:, :, None], torch.stack((x.sin(), x.cos()))[:, None]  # 2 n 1, 2 1 m
        size = torch.full((1, *shape), math.log2(view.scale / UNFOLD), device=like.device)
        planes = torch.cat((rows.expand(-1, *shape), columns.expand(-1, *shape), size)).to(like.dtype)  # 5 n m
        return planes.expand(len(like), -1, -1, -1).contiguous(memory_format=torch.channels_last)

    def between(self, left: Tensor, right: Tensor, found: Tensor, view: View) -> Tensor:
        """The frame half-way between two painted ones [b 3 H W], given what ``motion`` found [b 5 h w].

        Where nothing moves and neither is to be preferred it is their mean; elsewhere, strip by strip, both are fetched.
        """
        made = (left + right) / 2
        active = (found[:, :4] != 0).any(1, keepdim=True) | (found[:, 4:] != 0)  # b 1 h w
        active = F.max_pool2d(active.any(0).float(), 3, 1, 1)[0] > 0  # h w, and whom a bilinear look reaches
        for top in range(0, view.native[0], STRIP):
            strip = active[top : top + STRIP].any(0)  # w
            if strip.any():
                start, stop = _span(strip)
                rows = view.pixel(0, top), view.size[0] if top + STRIP >= view.native[0] else view.pixel(0, top + STRIP)
                columns = view.pixel(1, start) if start else 0, view.size[1] if stop == view.native[1] else view.pixel(1, stop)
                made[:, :, slice(*rows), slice(*columns)] = fetched(left, right, found, view, rows, columns)
        return made

    @torch.inference_mode()
    def stream(self, native: Iterable[Tensor], size: tuple[int, int], *, band: int | None = None) -> Iterator[Tensor]:
        """Native frames [3 h w] at 12 a second, one after the other, to painted ones [3 H W] at 24, two for each.

        A frame leaves as soon as the second after it is known, and no more are held. Nothing is shared across a cut: there, and at the
        end, the last frame is shown twice.
        """
        before: Tensor | None = None
        painted: Tensor | None = None
        view: View | None = None
        for now, after, later in ahead(native):
            view = view or View((now.shape[1], now.shape[2]), size, self.out.weight.device)
            row = same_shot(before, now, after, later).to(self.out.weight.device)  # 4 3 h w
            this = self._whole(row[:3], view, band) if painted is None else painted
            yield this[0]
            going_on = after is not None and not is_cut(now, after)
            painted = self._whole(row[1:], view, band) if going_on else None
            yield this[0] if painted is None else self.between(this, painted, self.motion(row[None]), view)[0]
            before = now

    def _whole(self, row: Tensor, view: View, band: int | None) -> Tensor:
        return self.paint(row[None, 1], self.read(row[None]), view, band=band)


def fetched(left: Tensor, right: Tensor, found: Tensor, view: View, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """A window of the half-way frame, every pixel from where it was and from where it will be: [b 3 rows columns]."""
    near = pixels(found, view, rows, columns, cubic=False)  # b 5 y x
    flow = view.scale * near[:, :4]
    old, new = fetch(left, flow[:, :2], rows[0], columns[0]), fetch(right, flow[:, 2:], rows[0], columns[0])
    return torch.lerp(old, new, near[:, 4:].sigmoid())


def pixels(x: Tensor, view: View, rows: tuple[int, int], columns: tuple[int, int], *, cubic: bool) -> Tensor:
    """Channels [b c h w] at some rows and columns of the target, in float32."""
    with torch.autocast(x.device.type, enabled=False):
        across = view.matrix(1, *columns, 1, cubic)  # columns w
        return view.matrix(0, *rows, 1, cubic) @ (x.float() @ across.T)


def cells(x: Tensor, view: View, top: int, end: int) -> Tensor:
    """Channels [b c h w], channels last, at the middles of some rows of cells: [b c end-top w/4]."""
    if view.cells == view.native and view.scale == UNFOLD:
        return x[:, :, top:end]
    down, across = view.matrix(0, top, end, UNFOLD, False), view.matrix(1, 0, view.cells[1], UNFOLD, False)
    b, c, _, w = x.shape
    many = x.permute(0, 2, 3, 1).flatten(2)  # b h w*c, as it lies in memory
    rows = (down.to(x.dtype) @ many).view(b, end - top, w, c)
    return torch.matmul(across.to(x.dtype), rows).permute(0, 3, 1, 2)  # b c rows columns


def ahead(frames: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor | None, Tensor | None]]:
    """Every frame with the two that follow it, None where there are none."""
    held: list[Tensor] = []
    for frame in frames:
        held.append(frame)
        if len(held) == 3:
            yield held[0], held[1], held[2]
            held.pop(0)
    while held:
        yield held[0], held[1] if len(held) > 1 else None, None
        held.pop(0)


def same_shot(before: Tensor | None, now: Tensor, after: Tensor | None, later: Tensor | None) -> Tensor:
    """Four frames in a row [4 3 h w]; what is missing or of another shot than ``now`` is replaced by the nearest that is not."""
    if before is None or is_cut(before, now):
        before = now
    if after is None or is_cut(now, after):
        after = later = now
    if later is None or is_cut(after, later):
        later = after
    return torch.stack((before, now, after, later))


def is_cut(one: Tensor, other: Tensor) -> bool:
    """Whether two frames [3 h w] in a row are of different shots."""
    return float(F.avg_pool2d((one - other).float(), 4).abs().mean()) > CUT


def _span(found: Tensor) -> tuple[int, int]:
    places = found.nonzero()
    return int(places[0]), int(places[-1]) + 1
