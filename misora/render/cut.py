"""A finished video made of shots: what was brought stays, what was drawn is painted, seams fade; it knows nothing of networks."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from misora.media.write import IMAGES, write_image, write_video
from misora.render.footage import write_latents
from misora.render.request import FRAME_RATE, NATIVE_RATE
from misora.render.seal import sealed
from misora.render.video import Video, deliver

if TYPE_CHECKING:
    from misora.render.native import Native

FADE = 12  # delivered frames over which what the autoencoder lost of given frames fades out of drawn ones beside them


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shot:
    """A stretch of the video: ``count`` delivered frames, for which ``drawn`` native frames come after ``skip`` that are not used.

    ``own`` [count, h, w, 3] is shown instead of what is drawn or, with a ``mask`` [count or 1, h, w] in 0..1, around it.
    ``arrives`` [3, h, w] is how the network sees the first frame of the given shot that follows a drawn one.
    """

    count: int
    drawn: int
    skip: int = 0
    own: Tensor | None = None
    mask: Tensor | None = None
    arrives: Tensor | None = None
    arrives_at: Tensor | None = None  # [h, w, 3]: that frame itself


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cut(Video):
    """A video whose frames come from its shots, at ``rate`` frames per second."""

    shots: tuple[Shot, ...]
    rate: float = FRAME_RATE
    source: Native | None = None  # where the frames come from: it keeps their latents

    @property
    def seconds(self) -> float:
        """How long the video is."""
        return sum(shot.count for shot in self.shots) / self.rate

    def stream(self) -> Iterator[Tensor]:
        """The delivered frames [h, w, 3] uint8 RGB one by one, each made only when its turn comes."""
        native = iter(self.native)
        first = list(itertools.islice(native, 1))
        native = itertools.chain(first, native)
        before: tuple[Tensor, Tensor] | None = None  # the last given frame, and how the network sees it
        for shot in self.shots:
            for _ in itertools.islice(native, shot.skip):
                pass
            drawn: Iterator[Tensor] = itertools.islice(native, shot.drawn)
            if shot is self.shots[-1]:  # what the last half-way frame moves towards
                drawn = itertools.chain(drawn, first if self.request.loop else itertools.islice(native, 1))
            if shot.own is not None and shot.mask is None:
                seen = list(drawn)[-1:]
                yield from shot.own
                place = round((math.ceil(len(shot.own) * NATIVE_RATE / self.rate - 1e-6) - 1) * self.rate / NATIVE_RATE)
                before = (shot.own[min(place, len(shot.own) - 1)], seen[0]) if seen else None
            else:
                yield from self._drawn(shot, drawn, before)
                before = None
            for _ in drawn:
                pass

    def _drawn(self, shot: Shot, drawn: Iterator[Tensor], before: tuple[Tensor, Tensor] | None) -> Iterator[Tensor]:
        lead = [before[1]] if before else []
        frames = self._painted(itertools.chain(lead, drawn), shot.drawn + len(lead))
        left = torch.zeros(())
        if before:
            left = before[0].float() - next(frames).float()  # h w 3
            next(frames)
        coming = torch.zeros(())
        if shot.arrives is not None and shot.arrives_at is not None:
            coming = shot.arrives_at.float() - next(self._painted([shot.arrives], 1)).float()  # h w 3
        for k, frame in enumerate(at_rate(frames, FRAME_RATE, self.rate, shot.count)):
            out, back = max(0.0, 1 - (k + 1) / (FADE + 1)), max(0.0, 1 - (shot.count - k) / (FADE + 1))
            if out * left.numel() > 1e-6 or back * coming.numel() > 1e-6:
                frame = (frame + out * left + back * coming).round().clamp(0, 255).to(torch.uint8)
            if shot.own is not None and shot.mask is not None:
                frame = blend(shot.own[k], frame, shot.mask[min(k, len(shot.mask) - 1)])
            yield frame

    def _painted(self, native: Iterable[Tensor], count: int) -> Iterator[Tensor]:
        return deliver(native, self.painter, size=self.request.delivered(), count=round(count * FRAME_RATE / NATIVE_RATE))

    def save(self, path: str | Path) -> Path:
        """Write the file; its ending picks the kind (.mp4 .mov .gif, or the first frame as .png .jpg .webp). Raises MediaError."""
        with sealed(path, self.request) as (unsigned, mark):
            if Path(path).suffix.lower() in IMAGES:
                write_image(unsigned, next(mark(self.stream())))
            else:
                write_video(unsigned, mark(self.stream()), self.rate, notes=self.notes())
        return Path(path)

    def notes(self) -> dict[str, str]:
        """What the file says of itself: the prompt as it was drawn, and how; sizes are those before painting."""
        request = self.request
        height, width = request.native()
        made = {
            "maker": "misora",
            "seed": request.seed,
            "steps": request.steps,
            "guidance": request.guidance,
            "native": f"{width}x{height}",
        }
        told = made | ({"asked": request.asked} if request.asked else {})
        return {
            "description": " | ".join(request.prompts()),
            "comment": json.dumps(told | {"native_rate": NATIVE_RATE}, ensure_ascii=False),
        }

    def save_latents(self, path: str | Path) -> Path | None:
        """Beside the saved ``path``, what it was drawn from, so that `misora extend` can go on without a loss; None where it was edited."""
        if self.source is None or len(self.shots) != 1 or self.shots[0].own is not None or len(self.source.latents) < 2:
            return None
        latents, kinds, code = self.source.kept()
        return write_latents(Path(path), latents, kinds, code=code, frames=self.shots[0].count)


def at_rate(frames: Iterable[Tensor], rate: float, wanted: float, count: int) -> Iterator[Tensor]:
    """``count`` of the frames, which come at ``rate``, as they are seen at ``wanted`` per second; the last one stays."""
    source, place, frame = iter(frames), -1, None
    for k in range(count):
        while place < int(k * rate / wanted + 1e-6):
            frame, place = next(source, frame), place + 1
        if frame is not None:
            yield frame


def blend(own: Tensor, drawn: Tensor, mask: Tensor) -> Tensor:
    """``drawn`` [h, w, 3] where the mask [h, w] is 1, ``own`` where it is 0: there to the bit."""
    share = mask[:, :, None]  # h w 1
    mixed = own + (drawn.float() - own) * share  # h w 3
    return torch.where(share > 0, mixed.round().clamp(0, 255).to(torch.uint8), own)
