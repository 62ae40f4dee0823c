"""A finished video and how it is delivered: enlarged, at 24 frames per second, saved; it knows nothing of how it was made."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from misora.media.write import IMAGES, write_image, write_video
from misora.render.request import FRAME_RATE, NATIVE_RATE, Request

EACH = round(FRAME_RATE / NATIVE_RATE)  # delivered frames for every native one


@dataclasses.dataclass(frozen=True, kw_only=True)
class Video:
    """What a request became. ``native`` are the frames that the network drew, [3, h, w] in -1..1, at 12 frames per second.

    They are a tensor [t, 3, h, w], or any iterable of frames that are made only when their turn comes; an iterator can be delivered
    once. Delivery has no painter yet: frames are enlarged by a plain bicubic resampler and cropped in the middle to the asked aspect,
    and each native frame is shown twice to make 24 frames per second.
    """

    request: Request
    native: Tensor | Iterable[Tensor]

    @property
    def frames(self) -> Tensor:
        """All delivered frames [t, h, w, 3] uint8 RGB."""
        return torch.stack(list(self.stream()))

    def stream(self) -> Iterator[Tensor]:
        """The delivered frames [h, w, 3] uint8 RGB one by one, each made only when its turn comes."""
        return deliver(self.native, size=self.request.delivered(), count=self.request.frames())

    def save(self, path: str | Path) -> Path:
        """Write the file; its ending picks the kind (.mp4 .mov .gif, or the first frame as .png .jpg .webp). Raises MediaError."""
        if Path(path).suffix.lower() in IMAGES:
            return write_image(path, next(self.stream()))
        return write_video(path, self.stream(), FRAME_RATE)


def deliver(native: Tensor | Iterable[Tensor], *, size: tuple[int, int], count: int) -> Iterator[Tensor]:
    """``count`` frames [h, w, 3] uint8 RGB of ``size`` (h, w), from native frames [3, h, w] of half the rate, drawn one by one.

    No more than a few native frames are held at any time. Where they end early the last one stays.
    """
    twice = itertools.chain.from_iterable(itertools.repeat(enlarge(frame, size), EACH) for frame in native)
    return itertools.islice(lasting(twice), count)


def lasting(frames: Iterable[Tensor]) -> Iterator[Tensor]:
    """The frames, then the last of them for ever."""
    frame = None
    for frame in frames:
        yield frame
    while frame is not None:
        yield frame


def enlarge(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """A frame [3, h, w] in -1..1 scaled to cover ``size`` (h, w) and cropped around its middle: [size h, size w, 3] uint8."""
    scale = max(size[0] / frame.shape[1], size[1] / frame.shape[2])
    cover = [max(wanted, round(side * scale)) for wanted, side in zip(size, frame.shape[1:], strict=True)]
    large = interpolate(frame[None].float(), size=cover, mode="bicubic", antialias=True)[0]  # 3 h w
    top, left = (cover[0] - size[0]) // 2, (cover[1] - size[1]) // 2
    cropped = large[:, top : top + size[0], left : left + size[1]]  # 3 h w
    return cropped.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
