"""Small pictures of a video while it is drawn: how it would look if the rest of the way were straight; it knows nothing of who looks.

A short video shows the moment of its thumbnail, the middle of what is invented, or the nearest one before it that has begun; so the
pictures of one video come nearer and nearer to one frame of it. A long one shows whatever is under way.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from torch import Tensor

from misora.canvas.canvas import Canvas
from misora.model.brush import to_bytes
from misora.model.weights import WanWeights, Weights

GAP = 0.25  # seconds between two pictures
SHARE = 9.0  # times what a picture costs must pass before the next one: a tenth of the time at most
LEANS = 2  # latent frames before it that a decoded frame depends on
SHORT = 16  # latent frames
Show = Callable[[Tensor], None]  # is given a picture [h, w, 3] uint8
Decode = Callable[[Tensor, str], Tensor]  # latents [1, c, t, h, w] and their kinds to a picture [3, h, w] in -1..1


class Glimpses:
    """What ``flow.generate.sample`` calls after each step; now and then it decodes one frame and shows it."""

    def __init__(self, show: Show, decode: Decode, canvas: Canvas | None = None) -> None:
        self.show, self.decode, self.canvas = show, decode, canvas
        self._next = 0.0

    def __call__(self, seen: list[int], clean: Tensor) -> None:
        """``clean`` [b, c, w, h, w] is what the network takes the frames ``seen`` for."""
        begun = time.monotonic()
        row = self._row(seen) if begun >= self._next else []
        if row:
            kinds = "".join(self.canvas.kinds[i] for i in row) if self.canvas else "S"
            latents = clean[:1, :, [seen.index(i) for i in row]]  # 1 c t h w
            self.show(to_bytes(self.decode(latents, kinds).clamp(-1, 1)))
            now = time.monotonic()
            self._next = now + max(GAP, SHARE * (now - begun))

    def _row(self, seen: list[int]) -> list[int]:
        """The frame to show and those before it that it leans on; none when the moment to be shown is past."""
        if self.canvas is None:
            return [seen[len(seen) // 2]]
        work = [i for i in self.canvas.shown() if bool(self.canvas.work()[i])]
        under_way = [i for i in seen if i in work]
        if len(self.canvas.kinds) <= SHORT:
            under_way = [i for i in under_way if i <= work[len(work) // 2]]
            place = max(under_way, default=None)
        else:
            place = under_way[len(under_way) // 2] if under_way else None
        row = [] if place is None else [place]
        while row and len(row) <= LEANS and self.canvas.kinds[row[0]] == "G" and row[0] - 1 in seen:
            row.insert(0, row[0] - 1)
        return row


def last_frame(weights: Weights | WanWeights) -> Decode:
    """The last pixel frame that a row of latents stands for."""

    def decode(latents: Tensor, kinds: str) -> Tensor:
        return deque(weights.autoencoder.decode_stream(latents.to(weights.dtype), kinds), maxlen=1).pop()[0, :, -1]  # 3 h w

    return decode
