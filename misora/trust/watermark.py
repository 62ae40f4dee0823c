"""An invisible mark in every frame: a keyed tile of faint squares that carries 64 bits; it knows nothing of files or manifests.

The tile is repeated over the picture and the same in every frame, so that what is left of it after compression, scaling, cropping and lost
frames can be laid over itself and added up. A third of its squares are there to be found, the others carry the coded payload. The squares
have soft edges, and neighbours of one sign are no larger stain than one alone: nobody looks for what the eye would see first. They are
fainter where the picture is clear, as a sky is.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import random
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, pad

from misora.trust import coding

CELL = 8  # pixels: half the size leaves four, which x264 still keeps at crf 28
TILE = 32  # squares a side
PIXELS = CELL * TILE
REPEAT = 4  # squares of one tile that carry the same coded bit
BADGE = (" ### .###", "#   #. # ", "#####. # ", "#   #. # ", "#   #.###")
FAINT, FULL = 1.8, 2.7  # of 255, where the picture is clear and where it is not: 41 dB
CLEAR, BUSY = 0.15, 0.4  # how much squares differ from their row and column: a sky .1, grass .6
LOUD = 4.0  # a difference that counts no more: an outline does not hide what lies beside it
SOFT, WIDE, LESS, PUSH = 2.5, 8.0, 0.8, 2.2  # pixels of the blur, of the one taken away, its share, and what makes up for both
HOLD = 12  # frames for which what was seen of the picture is held, since looking costs more than marking


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tile:
    """What a key says of each square: ``sync`` [n, n] is its sign or 0, ``bit`` [n, n] the bit that it carries or -1, with ``chip``."""

    sync: Tensor
    bit: Tensor
    chip: Tensor

    def filled(self, payload: int) -> Tensor:
        """The whole tile [n, n] of signs for one payload."""
        signs = torch.tensor(coding.encode(payload), dtype=torch.float32)
        return torch.where(self.bit >= 0, self.chip * signs[self.bit.clamp(min=0)], self.sync)


@functools.lru_cache(maxsize=64)
def tile_of(key: bytes) -> Tile:
    """The tile that a key means; another key gives an unrelated one."""
    draw = random.Random(hashlib.sha256(b"misora watermark 1" + key).digest())
    squares = list(range(TILE * TILE))
    draw.shuffle(squares)
    chip = torch.tensor([draw.choice((-1.0, 1.0)) for _ in squares])
    bit = torch.full((TILE * TILE,), -1, dtype=torch.long)
    for coded in range(coding.CODED):
        bit[squares[coded * REPEAT : (coded + 1) * REPEAT]] = coded
    return Tile(sync=torch.where(bit < 0, chip, 0.0).view(TILE, TILE), bit=bit.view(TILE, TILE), chip=chip.view(TILE, TILE))


def marked(frames: Iterable[Tensor], key: bytes, payload: int) -> Iterator[Tensor]:
    """The frames [h, w, 3] uint8 with the mark, one by one; the same change in red, green and blue is a change of luma alone."""
    up = down = torch.empty(0, dtype=torch.uint8)
    last = out = None
    count = 0
    for frame in frames:
        if frame is last and out is not None:  # shown twice: the same object again, so that it is converted once
            yield out
            continue
        if count % HOLD == 0 or up.shape != frame.shape:
            plane = spread(tile_of(key).filled(payload), allowed(frame)).expand(frame.shape)  # h w 3
            up, down = (half.clamp(min=0).to(torch.uint8).contiguous() for half in (plane, -plane))
        count += 1
        last, out = frame, torch.minimum(frame, 255 - up).add_(up).maximum(down).sub_(down)  # saturates within bytes
        yield out


def badged(frames: Iterable[Tensor]) -> Iterator[Tensor]:
    """The frames [h, w, 3] uint8 with the letters AI, half clear, in the lower right corner: a mark for the eye."""
    letters = torch.tensor([[sign == "#" for sign in line] for line in BADGE])
    for frame in frames:
        dot = max(1, frame.shape[0] // 200)
        shape = letters.repeat_interleave(dot, 0).repeat_interleave(dot, 1)
        out, (height, width) = frame.clone(), shape.shape
        corner = out[-height - 4 * dot : -4 * dot, -width - 4 * dot : -4 * dot]
        corner.copy_(torch.where(shape[:, :, None], corner // 2 + 127, corner))
        yield out


def spread(tile: Tensor, most: Tensor) -> Tensor:
    """A tile of signs [n, n] as what is added to a picture, at most ``most`` [h, w]: [h, w, 1] int16."""
    height, width = most.shape
    rows, columns = -(-height // PIXELS), -(-width // PIXELS)
    down, right = torch.arange(height)[:, None], torch.arange(width)
    grain = (52.9829189 * ((0.06711056 * right + 0.00583715 * down) % 1)) % 1  # h w; rounds evenly: Jimenez, SIGGRAPH 2014
    return (most * woven(tile).repeat(rows, columns)[:height, :width] + grain).floor()[:, :, None].to(torch.int16)


def woven(tile: Tensor) -> Tensor:
    """A tile of signs [n, n] with soft edges and without its large stains, which no detector sees: [PIXELS, PIXELS] from -1 to 1."""
    cells = tile.repeat_interleave(CELL, 0).repeat_interleave(CELL, 1)
    wave = torch.fft.fftfreq(PIXELS)
    square = -2 * math.pi**2 * (wave[:, None] ** 2 + wave[None] ** 2)
    kept = (SOFT**2 * square).exp() - LESS * (WIDE**2 * square).exp()
    soft: Tensor = torch.fft.ifft2(torch.fft.fft2(cells) * kept).real
    return (PUSH * soft).clamp(-1, 1)


def allowed(frame: Tensor) -> Tensor:
    """How strong the mark may be at each pixel of a frame [h, w, 3] uint8: [h, w] from FAINT to FULL.

    What counts is how much squares differ from others beside them and above them, both: a horizon that fades hides nothing.
    """
    squares = avg_pool2d(frame[:, :, 1].float()[None, None], CELL, ceil_mode=True)  # 1 1 h/8 w/8
    busy = (_differs(squares, 5, 1) * _differs(squares, 1, 5)).pow(0.25)
    busy = -max_pool2d(-pad(busy, (1, 1, 1, 1), mode="replicate"), 3, 1)  # the calmest neighbour's
    most = FAINT + (FULL - FAINT) * ((busy - CLEAR) / (BUSY - CLEAR)).clamp(0, 1)
    whole = interpolate(most, scale_factor=CELL, mode="bilinear", align_corners=False)[0, 0]
    return whole[: frame.shape[0], : frame.shape[1]]


def _differs(squares: Tensor, rows: int, columns: int) -> Tensor:
    """The mean square, in a window of five, of what squares have over the mean of so many rows and columns around them."""
    return _mean((squares - _mean(squares, rows, columns)).clamp(-LOUD, LOUD).square(), 5, 5)


def _mean(x: Tensor, rows: int, columns: int) -> Tensor:
    return avg_pool2d(pad(x, (columns // 2, columns // 2, rows // 2, rows // 2), mode="replicate"), (rows, columns), 1)
