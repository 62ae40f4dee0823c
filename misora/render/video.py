"""A finished video and how it is delivered: enlarged, at 24 frames per second, saved; it knows nothing of how it was made."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from misora import __version__
from misora.media.write import IMAGES, write_image, write_video
from misora.model.brush import stream, to_bytes
from misora.model.painter import Painter
from misora.model.view import NEAR, UNFOLD
from misora.render.request import FRAME_RATE, NATIVE_RATE, Request
from misora.render.seal import sealed

BAND = 136  # rows of 4x4 pixels that are painted at once: pictures of any size need about the memory of a small one
EACH = round(FRAME_RATE / NATIVE_RATE)  # delivered frames for every native one


@dataclasses.dataclass(frozen=True, kw_only=True)
class Video:
    """What a request became. ``native`` are the frames that the network drew, [3, h, w] in -1..1, at 12 frames per second.

    They are a tensor [t, 3, h, w], or any iterable of frames that are made only when their turn comes; an iterator can be delivered
    once. Without a painter they are enlarged by a plain bicubic resampler and each is shown twice.
    """

    request: Request
    native: Tensor | Iterable[Tensor]
    painter: Painter | None = None

    @property
    def frames(self) -> Tensor:
        """All delivered frames [t, h, w, 3] uint8 RGB."""
        return torch.stack(list(self.stream()))

    def stream(self) -> Iterator[Tensor]:
        """The delivered frames [h, w, 3] uint8 RGB one by one, each made only when its turn comes."""
        return deliver(self.native, self.painter, size=self.request.delivered(), count=self.request.frames())

    def save(self, path: str | Path) -> Path:
        """Write the file; its ending picks the kind (.mp4 .mov .gif, or the first frame as .png .jpg .webp). Raises MediaError."""
        with sealed(path, self.request) as (unsigned, mark):
            if Path(path).suffix.lower() in IMAGES:
                write_image(unsigned, next(mark(self.stream())))
            else:
                write_video(unsigned, mark(self.stream()), FRAME_RATE, notes={"comment": self.comment()})
        return Path(path)

    def comment(self) -> str:
        """What was drawn and what was painted, for the file's metadata."""
        (height, width), (h, w) = self.request.delivered(), self.request.native()
        how = "enlarged" if self.painter is None else "painted"
        drawn = f"drawn as {w}x{h} at {NATIVE_RATE:g} frames per second"
        return f"Misora {__version__}: {drawn}, {how} to {width}x{height} at {FRAME_RATE:g}"


def deliver(native: Tensor | Iterable[Tensor], painter: Painter | None = None, *, size: tuple[int, int], count: int) -> Iterator[Tensor]:
    """``count`` frames [h, w, 3] uint8 RGB of ``size`` (h, w), from native frames [3, h, w] of half the rate, drawn one by one.

    The picture covers the size and is cropped around its middle. No more than a few frames are held at any time. Where the native
    frames end early the last one stays.
    """
    frames: Iterable[Tensor]
    if painter is None:
        frames = itertools.chain.from_iterable(itertools.repeat(enlarge(frame, size), EACH) for frame in native)
    else:
        frames = paint(native, painter, size)
    return itertools.islice(lasting(frames), count)


def paint(native: Iterable[Tensor], painter: Painter, size: tuple[int, int]) -> Iterator[Tensor]:
    """Native frames at twice their rate, painted. Sizes between the native one and the painter's least are painted at that and reduced."""
    frames = iter(native)
    for first in frames:
        scale = max(side / own for side, own in zip(size, first.shape[1:], strict=True))
        large = size if scale >= UNFOLD or scale <= NEAR else (math.ceil(size[0] * UNFOLD / scale), math.ceil(size[1] * UNFOLD / scale))
        for frame in stream(painter, itertools.chain((first,), frames), large, band=BAND):
            yield frame if large == size else covering(frame, size)


def lasting(frames: Iterable[Tensor]) -> Iterator[Tensor]:
    """The frames, then the last of them for ever."""
    frame = None
    for frame in frames:
        yield frame
    while frame is not None:
        yield frame


def enlarge(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """A frame [3, h, w] in -1..1 scaled to cover ``size`` (h, w) and cropped around its middle: [size h, size w, 3] uint8."""
    return covering(to_bytes(frame), size)


def covering(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture [h, w, 3] uint8 scaled to cover ``size`` and cropped around its middle."""
    scale = max(wanted / side for wanted, side in zip(size, picture.shape, strict=False))
    cover = [max(wanted, round(side * scale)) for wanted, side in zip(size, picture.shape, strict=False)]
    large = interpolate(picture.permute(2, 0, 1)[None], size=cover, mode="bicubic", antialias=True)[0]  # 3 h w
    top, left = (cover[0] - size[0]) // 2, (cover[1] - size[1]) // 2
    return large[:, top : top + size[0], left : left + size[1]].permute(1, 2, 0).contiguous()
