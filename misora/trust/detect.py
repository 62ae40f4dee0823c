"""Finds the invisible mark in frames that were compressed, scaled, cropped or mirrored; it knows nothing of files or manifests.

What is left when each frame is smoothed away is averaged over time, brought to the size that it may have been marked at, folded onto one
tile, and compared with the key's tile at every shift at once (by FFT), as it is and mirrored. The payload is then read from each part of
the picture as far as the squares that carry none are seen there.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from misora.trust import coding
from misora.trust.watermark import CELL, PIXELS, TILE, Tile, tile_of

ALONE = 9.0  # standard deviations of the best shift above all shifts: enough by itself (21 million shifts and sizes by chance: 5.6)
READ = 6.5  # enough where the payload's checksum holds as well; below it none is read
FRAMES = 12  # looked at, evenly over the clip
LIKELY = (1.0, 0.5, 2 / 3, 0.75, 1.5, 2.0, 0.9, 1 / 0.9)  # how large the frames are beside those that were marked, tried first
STEP = 1.008  # of the sizes tried after that; the tile may drift by half a square at the rim
RANGE = (0.4, 2.0)
LUMA = (0.2126, 0.7152, 0.0722)
AROUND = 5 * CELL + CELL // 2  # pixels each way in which squares without payload say how well the others can be read
MIDDLE = 2.0  # pixels: a square's middle counts more than its soft edges
LARGEST = 2.5  # a residue's deviation from its surroundings, in their standard deviations: edges must not shout


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """Where and how a mark was found; ``payload`` is None where it could not be read, ``strength`` in standard deviations."""

    payload: int | None
    strength: float
    scale: float
    mirrored: bool

    @property
    def certain(self) -> bool:
        """Whether this is a mark and no chance."""
        return self.strength >= (ALONE if self.payload is None else READ)


def detect(frames: Tensor, key: bytes, *, thorough: bool = True) -> Found:
    """Look for the key's mark in frames [t, h, w, 3] uint8. ``thorough`` tries every size from .4 to 2, not only the likely ones."""
    rest = residues(frames)
    best = Found(payload=None, strength=0.0, scale=1.0, mirrored=False)
    for scale in (*LIKELY, *(_sizes() if thorough else ())):
        found = look(rest, tile_of(key), scale)
        if found.certain:
            return found
        best = max(best, found, key=lambda one: (one.payload is not None, one.strength))
    return best


def _sizes() -> list[float]:
    """Every size from the nearest to 1 outwards."""
    steps = range(math.floor(math.log(RANGE[0], STEP)), math.ceil(math.log(RANGE[1], STEP)) + 1)
    return [STEP**step for step in sorted(steps, key=abs) if step]


def residues(frames: Tensor) -> dict[int, Tensor]:
    """For squares of 4 and of 8 pixels: the mean over time [h, w] of what sticks out of its surroundings, in their deviations."""
    chosen = frames[torch.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).long()]
    sums: dict[int, Tensor] = {}
    for frame in chosen:
        luma = (frame.float() @ torch.tensor(LUMA))[None, None]  # 1 1 h w
        for square in (CELL // 2, CELL):
            sums[square] = sums.get(square, torch.zeros(())) + _outstanding(luma, square)[0, 0] / len(chosen)
    return sums


def _outstanding(luma: Tensor, square: int) -> Tensor:
    smooth = _box(luma, square // 4)
    rest = smooth - _mean(smooth, square)
    return (rest / (_mean(rest.square(), square).sqrt() + 0.5)).clamp(-LARGEST, LARGEST)


def _mean(x: Tensor, square: int) -> Tensor:
    """The mean of a window of three squares a side."""
    reach = 3 * square // 2
    return _box(x, reach)


def _box(x: Tensor, reach: int) -> Tensor:
    """The mean of a window of ``2 * reach + 1`` pixels a side, by running sums: its size costs nothing."""
    return _run(_run(x, reach, 3), reach, 2)


def _run(x: Tensor, reach: int, way: int) -> Tensor:
    window, rim = 2 * reach + 1, (reach + 1, reach)
    sums = pad(x, (*rim, 0, 0) if way == 3 else (0, 0, *rim), mode="replicate").cumsum(way, dtype=torch.float64)
    count = sums.shape[way] - window
    return ((sums.narrow(way, window, count) - sums.narrow(way, 0, count)) / window).to(x.dtype)


def look(rest: dict[int, Tensor], tile: Tile, scale: float) -> Found:
    """Look at one size, in both orientations."""
    whole = sized(rest[CELL // 2 if scale < 0.7 else CELL], scale)
    best = Found(payload=None, strength=0.0, scale=scale, mirrored=False)
    for mirrored in (False, True):
        seen = whole.flip(1) if mirrored else whole
        strength, shift = align(laid(seen), tile)
        if strength > max(best.strength, READ):
            best = Found(payload=read(seen, shift, tile), strength=strength, scale=scale, mirrored=mirrored)
        elif strength > best.strength:
            best = dataclasses.replace(best, strength=strength, mirrored=mirrored)
    return best


def fold(rest: Tensor, scale: float) -> Tensor:
    """A residue [h, w] brought to the marked size and laid over itself: [PIXELS, PIXELS]."""
    return laid(sized(rest, scale))


def sized(rest: Tensor, scale: float) -> Tensor:
    """A residue [h, w] brought to the size that was marked."""
    if scale == 1.0:
        return rest
    height, width = (max(1, round(side / scale)) for side in rest.shape)
    return interpolate(rest[None, None], size=(height, width), mode="bilinear", antialias=scale > 1)[0, 0]


def laid(rest: Tensor) -> Tensor:
    """A residue [h, w] of the marked size, added up tile by tile: [PIXELS, PIXELS]."""
    height, width = rest.shape
    rows, columns = -(-height // PIXELS), -(-width // PIXELS)
    whole = pad(rest, (0, columns * PIXELS - width, 0, rows * PIXELS - height))
    return whole.view(rows, PIXELS, columns, PIXELS).sum((0, 2))


def align(folded: Tensor, tile: Tile) -> tuple[float, tuple[int, int]]:
    """How far the best shift stands out among all shifts, in standard deviations, and that shift (down, right)."""
    pattern = tile.sync.repeat_interleave(CELL, 0).repeat_interleave(CELL, 1)
    surface = torch.fft.irfft2(torch.fft.rfft2(folded) * torch.fft.rfft2(pattern).conj(), s=folded.shape)
    place = int(surface.argmax())
    deviation = float(surface.std()) or 1.0
    return (float(surface.max()) - float(surface.mean())) / deviation, (place // PIXELS, place % PIXELS)


def read(rest: Tensor, shift: tuple[int, int], tile: Tile) -> int | None:
    """The payload of a residue [h, w] of the marked size at a known shift, or None where its checksum fails."""
    straight = laid(rest * _trust(rest, shift, tile)).roll((-shift[0], -shift[1]), (0, 1))
    away = torch.arange(CELL) - (CELL - 1) / 2
    middle = (-away.square() / (2 * MIDDLE**2)).exp()
    squares = torch.einsum("iajb,a,b->ij", straight.view(TILE, CELL, TILE, CELL), middle, middle) * tile.chip  # n n
    carrying = tile.bit >= 0
    soft = torch.zeros(coding.CODED).index_add_(0, tile.bit[carrying], squares[carrying])
    return coding.decode((soft / (soft.abs().mean() + 1e-9)).tolist())


def _trust(rest: Tensor, shift: tuple[int, int], tile: Tile) -> Tensor:
    """How clearly the squares without payload are seen around each pixel: [h, w], none below 0."""
    height, width = rest.shape
    cells = tile.sync.repeat_interleave(CELL, 0).repeat_interleave(CELL, 1).roll(shift, (0, 1))
    sync = cells.repeat(-(-height // PIXELS), -(-width // PIXELS))[:height, :width]
    seen, count = (_box(x[None, None], AROUND)[0, 0] for x in (rest * sync, sync.abs()))
    return (seen / (count + 1e-6)).clamp(min=0)
