"""A finished video and how it is delivered: enlarged, at 24 frames per second, saved; it knows nothing of how it was made."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from misora.media.write import IMAGES, write_image, write_video
from misora.render.request import FRAME_RATE, NATIVE_RATE, Request


@dataclasses.dataclass(frozen=True, kw_only=True)
class Video:
    """What a request became. ``native`` [t, 3, h, w] in -1..1 is what the network drew, at 12 frames per second.

    Delivery has no painter yet: frames are enlarged by a plain bicubic resampler and cropped in the middle to the asked aspect, and
    each native frame is shown twice to make 24 frames per second.
    """

    request: Request
    native: Tensor

    @property
    def frames(self) -> Tensor:
        """All delivered frames [t, h, w, 3] uint8 RGB."""
        return torch.stack(list(self.stream()))

    def stream(self) -> Iterator[Tensor]:
        """The delivered frames [h, w, 3] uint8 RGB one by one, each enlarged only when its turn comes."""
        shown, enlarged = -1, torch.empty(0)
        for index in range(self.request.frames()):
            source = min(int(index * NATIVE_RATE / FRAME_RATE), len(self.native) - 1)
            if source != shown:
                shown, enlarged = source, enlarge(self.native[source], self.request.delivered())
            yield enlarged

    def save(self, path: str | Path) -> Path:
        """Write the file; its ending picks the kind (.mp4 .mov .gif, or the first frame as .png .jpg .webp). Raises MediaError."""
        if Path(path).suffix.lower() in IMAGES:
            return write_image(path, next(self.stream()))
        return write_video(path, self.stream(), FRAME_RATE)


def enlarge(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """A frame [3, h, w] in -1..1 scaled to cover ``size`` (h, w) and cropped around its middle: [size h, size w, 3] uint8."""
    scale = max(size[0] / frame.shape[1], size[1] / frame.shape[2])
    cover = [max(wanted, round(side * scale)) for wanted, side in zip(size, frame.shape[1:], strict=True)]
    large = interpolate(frame[None].float(), size=cover, mode="bicubic", antialias=True)[0]  # 3 h w
    top, left = (cover[0] - size[0]) // 2, (cover[1] - size[1]) // 2
    cropped = large[:, top : top + size[0], left : left + size[1]]  # 3 h w
    return cropped.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
