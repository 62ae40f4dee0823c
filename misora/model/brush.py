"""Painting a video frame by frame into bytes: what is shown of a painter; it knows nothing of learning, requests or files.

This is the painter's arithmetic in the order that a processor likes: pictures are bytes as they lie in a file, the bicubic enlargement is
one of bytes, the network adds whole levels to it, and a half-way frame is fetched in floats only where something moves. ``Painter.paint``
and ``Painter.between`` say the same at length; a level or two of 255 lie between them, more where it overshoots black or white.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import torch
from torch import Tensor
from torch.nn import functional as F

from misora.model.painter import Painter
from misora.model.view import UNFOLD, View

HALO = 4  # cells around a band that its pixels depend on: four 3x3 convolutions
STRIP = 32  # native rows in which what moves is looked for together
SQUARE = 8  # native pixels along the side of a square that moves or does not
STEADY = 4 / 127.5  # less change of the range -1..1 is the autoencoder's unrest, not motion: frames in which nothing moves have up to 3
CUT = 0.2  # mean absolute change, of the range -1..1, from which on two frames are of different shots


class Brush:
    """A painter before one view. Pictures are [H, W, 3] uint8 RGB; ``band``: rows of cells painted at a time."""

    def __init__(self, painter: Painter, view: View, band: int | None = None) -> None:
        self.painter, self.view, self.band = painter, view, band or view.cells[0]
        out, order = painter.out, (3, UNFOLD**2, -1)
        # What comes out is counted in levels, and lies pixel by pixel and not colour by colour.
        self.weight = (127.5 * out.weight.float()).view(*order, 3, 3).transpose(0, 1).reshape(out.weight.shape)
        self.weight = self.weight.to(out.weight.dtype, memory_format=torch.channels_last)  # 48 fine 3 3
        assert out.bias is not None
        self.bias = (127.5 * out.bias.float()).view(order).transpose(0, 1).reshape(-1).to(out.bias.dtype)  # 48

    @torch.inference_mode()
    def whole(self, row: Tensor) -> Tensor:
        """The middle one of three native frames [3 3 h w] in -1..1."""
        levels = to_bytes(row[1]).permute(2, 0, 1)[None]  # 1 3 h w, channels last
        picture = self.view.base(levels)[0].permute(1, 2, 0).contiguous()  # H W 3
        if self.view.near:
            return picture
        features, rows = self.painter.read(row[None]), self.view.cells[0]
        for first in range(0, rows, self.band):
            last = min(first + self.band, rows)
            add(picture[first * UNFOLD : last * UNFOLD], self._levels(features, first, last))
        return picture

    def _levels(self, features: Tensor, first: int, last: int) -> Tensor:
        """What the network adds to the rows of the cells ``first`` to ``last``: int16, as wide as whole cells."""
        top, end = max(first - HALO, 0), min(last + HALO, self.view.cells[0])
        x = self.painter.fine(self.painter.look(features, self.view, top, end))
        x = F.conv2d(x, self.weight, self.bias, padding=1)[:, :, first - top : last - top]  # 1 48 n m
        cells = x.permute(0, 2, 3, 1).round_().to(torch.int16)  # 1 n m 48
        lines = cells.view(torch.int64).view(*cells.shape[1:3], UNFOLD, 3)  # n m 4 3: four pixels of three colours are three words
        return lines.transpose(1, 2).contiguous().view(torch.int16).view(UNFOLD * (last - first), -1, 3)  # rows w 3

    @torch.inference_mode()
    def half(self, row: Tensor, left: Future[Tensor], right: Future[Tensor]) -> Tensor:
        """What is between the second and the third of four native frames [4 3 h w], when these are painted."""
        where = moving(row[1], row[2])  # 1 h w
        found = where * self.painter.motion(row[None]) if where.any() else where.expand(1, 5, -1, -1)
        return self.between(left.result(), right.result(), found)

    def between(self, left: Tensor, right: Tensor, found: Tensor) -> Tensor:
        """The picture half-way between two, given what ``motion`` found [1 5 h w].

        Where nothing moves and neither is to be preferred it is their mean; elsewhere, strip by strip, both are fetched.
        """
        made, view = mean(left, right), self.view
        active = (found[0] != 0).any(0)[None].float()  # 1 h w
        active = F.max_pool2d(active, 3, 1, 1)[0] > 0  # h w, and whom a bilinear look reaches
        for top in range(0, view.native[0], STRIP):
            places = active[top : top + STRIP].any(0).nonzero()  # n 1
            if len(places):
                rows = view.pixel(0, top), view.pixel(0, min(top + STRIP, view.native[0]))
                columns = view.pixel(1, int(places[0])), view.pixel(1, int(places[-1]) + 1)
                if rows[0] < rows[1] and columns[0] < columns[1]:
                    made[slice(*rows), slice(*columns)] = self._fetched(left, right, found, rows, columns)
        return made

    def _fetched(self, left: Tensor, right: Tensor, found: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
        """A window of the half-way picture, every pixel from where it was and from where it will be: [rows columns 3]."""
        near = self.view.at_pixels(found, rows, columns)[0]  # 5 y x
        flow = near[:4].view(2, 2, *near.shape[1:])  # to the left one and to the right one, x and y
        axes = ((1, columns), (0, rows))
        crop = [self._reach(axis, span, flow[:, i]) for i, (axis, span) in enumerate(axes)][::-1]
        both = torch.stack((left[tuple(crop)], right[tuple(crop)])).permute(0, 3, 1, 2).float()  # 2 3 . ., channels last
        for i, (axis, (first, last)) in enumerate(axes):
            start, side = crop[axis].start, both.shape[2 + axis]
            middles = (torch.arange(first - start, last - start) + 0.5) * (2 / side) - 1  # from -1 to 1 across the crop
            flow[:, i].mul_(2 * self.view.scale[axis] / side).add_(middles if axis else middles[:, None])
        old, new = F.grid_sample(both, flow.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)  # 3 y x each
        return torch.lerp(old, new, near[4].sigmoid_()).add_(0.5).to(torch.uint8).permute(1, 2, 0)

    def _reach(self, axis: int, span: tuple[int, int], flow: Tensor) -> slice:
        """The rows or columns of pixels that are looked at from some of them."""
        far = int(flow.abs().max() * self.view.scale[axis]) + 2
        return slice(max(span[0] - far, 0), min(span[1] + far, self.view.size[axis]))


def moving(one: Tensor, other: Tensor) -> Tensor:
    """Where anything can have moved between two frames [3 h w]: squares in which a pixel changes and those around, [1 h w] of 0 and 1."""
    change = (one - other).abs().amax(0, keepdim=True)  # 1 h w
    squares = F.max_pool2d((F.max_pool2d(change, SQUARE, ceil_mode=True) > STEADY).float(), 3, 1, 1)  # 1 y x
    return squares.repeat_interleave(SQUARE, 1).repeat_interleave(SQUARE, 2)[:, : one.shape[1], : one.shape[2]]


def to_bytes(frame: Tensor) -> Tensor:
    """A frame [3, h, w] within about -1..1 as [h, w, 3] uint8 on the CPU."""
    levels = (frame.float() * 127.5 + 128).clamp_(0, 255)  # and a half: rounded when cut off
    return levels.to(torch.uint8).permute(1, 2, 0).contiguous().cpu()


def add(picture: Tensor, levels: Tensor) -> None:
    """Add int16 levels to bytes in place; they stay bytes. The levels may stick out."""
    inside = levels[: picture.shape[0], : picture.shape[1]]
    picture.copy_(inside.add_(picture.to(torch.int16)).clamp_(0, 255))


def mean(left: Tensor, right: Tensor) -> Tensor:
    """The mean of bytes, rounded down."""
    return (left & right).add_((left ^ right).bitwise_right_shift_(1))


def stream(painter: Painter, native: Iterable[Tensor], size: tuple[int, int], *, band: int | None = None) -> Iterator[Tensor]:
    """Native frames [3 h w] at 12 a second, one after the other, to painted ones [H W 3] uint8 at 24, two for each.

    A frame leaves as soon as the third after it is known, and few more are held. Nothing is shared across a cut: there, and at the end,
    the last frame is shown twice.
    """
    with sharing() as (painters, alone):
        waiting: list[tuple[Future[Tensor], Future[Tensor]]] = []
        for pair in _ordered(painter, alone(native), size, band, painters):
            waiting.append(pair)
            if len(waiting) > 1:
                yield from (one.result() for one in waiting.pop(0))
        for pair in waiting:
            yield from (one.result() for one in pair)


def _ordered(
    painter: Painter, native: Iterable[Tensor], size: tuple[int, int], band: int | None, painters: Executor
) -> Iterator[tuple[Future[Tensor], Future[Tensor]]]:
    """For every native frame the two that are being painted of it. What one waits for has been ordered before it."""
    before: Tensor | None = None
    whole: Future[Tensor] | None = None
    brush: Brush | None = None
    for now, after, later in ahead(native):
        brush = brush or Brush(painter, View((now.shape[1], now.shape[2]), size), band)
        row = same_shot(before, now, after, later)  # 4 3 h w
        this = whole or painters.submit(brush.whole, row[:3])
        whole = painters.submit(brush.whole, row[1:]) if after is not None and not is_cut(now, after) else None
        yield this, painters.submit(brush.half, row, this, whole) if whole else this
        before = now


@contextlib.contextmanager
def sharing() -> Iterator[tuple[Executor, Callable[[Iterable[Tensor]], Iterator[Tensor]]]]:
    """Two painters who share the threads, and a wrapper for those who draw, who get them all as long as they draw.

    One thread each is better than two for both: an encoder works beside them, and a thread that is not let in keeps the others waiting.
    """
    threads = torch.get_num_threads()
    share = max(1, threads // 2)

    def alone(frames: Iterable[Tensor]) -> Iterator[Tensor]:
        source = iter(frames)
        while True:
            torch.set_num_threads(threads)
            frame = next(source, None)
            torch.set_num_threads(share)
            if frame is None:
                return
            yield frame

    with ThreadPoolExecutor(min(2, threads), "painter", torch.set_num_threads, (share,)) as painters:
        try:
            yield painters, alone
        finally:
            painters.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)


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
