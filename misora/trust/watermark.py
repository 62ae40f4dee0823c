"""An invisible mark in every frame: a keyed tile of faint squares that carries 64 bits; it knows nothing of files or manifests.

The tile is repeated over the picture and the same in every frame, so that what is left of it after compression, scaling, cropping and lost
frames can be laid over itself and added up. A third of its squares are there to be found, the others carry the coded payload.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import random
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from misora.trust import coding

CELL = 8  # pixels: half the size leaves four, which x264 still keeps at crf 28
TILE = 32  # squares a side
PIXELS = CELL * TILE
REPEAT = 4  # squares of one tile that carry the same coded bit
BADGE = (" ### .###", "#   #. # ", "#####. # ", "#   #. # ", "#   #.###")
STRENGTH = 2.4  # of 255, as a pattern of two and three: 40.3 dB
FIFTHS = 2  # of five pixels that change by three


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
    for frame in frames:
        if frame is last and out is not None:  # shown twice: the same object again, so that it is converted once
            yield out
            continue
        if up.shape != frame.shape:
            plane = spread(tile_of(key).filled(payload), *frame.shape[:2]).expand(frame.shape)  # h w 3
            up, down = (half.clamp(min=0).to(torch.uint8).contiguous() for half in (plane, -plane))
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


def spread(tile: Tensor, height: int, width: int) -> Tensor:
    """A tile of signs [n, n] as what is added to a picture: [h, w, 1] int16."""
    cells = tile.repeat_interleave(CELL, 0).repeat_interleave(CELL, 1)  # PIXELS PIXELS
    rows, columns = -(-height // PIXELS), -(-width // PIXELS)
    down, right = torch.arange(height)[:, None], torch.arange(width)
    size = 2 + ((right + 2 * down) % 5 < FIFTHS).float()  # h w
    return (size * cells.repeat(rows, columns)[:height, :width])[:, :, None].to(torch.int16)
