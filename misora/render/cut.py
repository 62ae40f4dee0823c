"""A finished video made of shots: what was brought stays, what was drawn is painted; it knows nothing of networks."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from misora.canvas.canvas import pixel_frames
from misora.media.write import IMAGES, write_image, write_video
from misora.render.footage import TAIL, write_latents
from misora.render.request import FRAME_RATE, NATIVE_RATE
from misora.render.seal import sealed
from misora.render.seams import Lost, blend, faded, recut
from misora.render.video import Video, deliver

if TYPE_CHECKING:
    from misora.render.native import Native


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shot:
    """A stretch of the video: ``count`` delivered frames, for which ``drawn`` native frames come after ``skip`` that are not used.

    ``own`` [count, h, w, 3] is shown instead of what is drawn or, with a ``mask`` [count or 1, h, w] in 0..1 or a ``span`` of frame
    numbers, around it. ``arrives`` [3, h, w] is how the network sees the given frame that follows a drawn shot, ``arrives_at`` [h, w, 3]
    that frame itself. ``pace``: how much faster than it was drawn it is shown, where its length is fixed at both ends.
    """

    count: int
    drawn: int
    skip: int = 0
    own: Tensor | None = None
    mask: Tensor | None = None
    span: tuple[int, int] | None = None
    arrives: Tensor | None = None
    arrives_at: Tensor | None = None
    pace: float = 1.0
    cut: bool = False  # whether it has nothing to do with what was before

    @property
    def given(self) -> bool:
        """Whether nothing that is drawn is shown."""
        return self.own is not None and self.mask is None and self.span is None


class Ahead:
    """An iterator of native frames that lets one look at the next without taking it."""

    def __init__(self, frames: Iterable[Tensor]) -> None:
        self.frames, self.held = iter(frames), list[Tensor]()

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        return self.held.pop() if self.held else next(self.frames)

    def peek(self) -> list[Tensor]:
        """The next frame, if there is one."""
        self.held = self.held or list(itertools.islice(self.frames, 1))
        return self.held


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
        native, opening = Ahead(self.native), list[Tensor]()
        before: tuple[Tensor, Tensor] | None = None  # the last given frame, and how the network sees it
        for shot, coming in itertools.zip_longest(self.shots, self.shots[1:]):
            lead = deque(itertools.islice(native, shot.skip), maxlen=1)
            opening = opening or (list(native.peek()) if self.request.loop else [])
            drawn = itertools.islice(native, shot.drawn)
            if shot.own is not None and shot.given:
                seen = deque(drawn, maxlen=1)
                yield from shot.own
                place = round((math.ceil(len(shot.own) * NATIVE_RATE / self.rate - 1e-6) - 1) * self.rate / NATIVE_RATE)
                before = (shot.own[min(place, len(shot.own) - 1)], seen[0]) if seen else None
            else:
                yield from self._shown(shot, itertools.chain(drawn, self._after(shot, coming, native, opening)), list(lead), before)
                before = None
            for _ in drawn:
                pass

    def _after(self, shot: Shot, coming: Shot | None, native: Ahead, opening: list[Tensor]) -> Iterator[Tensor]:
        """The native frame that follows a drawn shot, unless that ends in a cut: what its last half-way frame moves towards."""
        if shot.arrives is not None:
            yield shot.arrives
        elif coming is None or not coming.cut:
            yield from opening if self.request.loop and coming is None else native.peek()

    def _shown(self, shot: Shot, drawn: Iterator[Tensor], lead: list[Tensor], before: tuple[Tensor, Tensor] | None) -> Iterator[Tensor]:
        """The delivered frames of a shot of which something is drawn; ``lead``: the native frame before it, where it is known."""
        lead, before = ([], None) if shot.cut else ([before[1]] if before else lead, before)
        frames = self._painted(itertools.chain(lead, drawn), shot.drawn + len(lead))
        lost = [next(frames) for _ in range(2 * len(lead))][:1]  # the lead, which is only looked at, and what is half-way from it
        spare = shot.drawn * FRAME_RATE / NATIVE_RATE - shot.count * FRAME_RATE / self.rate  # frames too many
        start = 0.5 if shot.pace != 1 else max(0.0, spare) if shot.arrives is not None else 0.0  # it ends where the given frame is next
        timed = at_rate(frames, FRAME_RATE * shot.pace, self.rate, shot.count, start=start)
        if shot.own is None:
            left = Lost(given=before[0], seen=lost[0]) if before else None
            arrives = self._painted([shot.arrives], 1) if shot.arrives is not None else iter(())
            coming = [Lost(given=shot.arrives_at, seen=seen) for seen in itertools.islice(arrives, 1) if shot.arrives_at is not None]
            yield from faded(timed, shot.count, self.rate, left=left, coming=coming[0] if coming else None)
        elif shot.span is not None:
            yield from recut(timed, shot.own, shot.span, self.rate, ring=self.request.loop)
        elif shot.mask is not None:
            for k, frame in enumerate(timed):
                yield blend(shot.own[k], frame, shot.mask[min(k, len(shot.mask) - 1)])

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
        """Beside the saved ``path``, what its end was drawn from, so that `misora extend` can go on without a loss; None where it has none.

        Of a video that is one shot all latents are kept, of one with given or reworked footage before its end the last ones.
        """
        end = self.shots[-1]
        if self.source is None or end.own is not None or end.pace != 1 or (end.cut and len(self.shots) > 1):
            return None
        if len(self.source.latents) < 2 or self.request.loop:  # a loop ends within a group
            return None
        latents, kinds, code = self.source.kept()
        unseen = pixel_frames(kinds) - sum(shot.skip + shot.drawn for shot in self.shots)
        if len(self.shots) > 1:
            latents, kinds = latents[:, :, -TAIL:], kinds[-TAIL:]
        return write_latents(Path(path), latents, kinds, code=code, frames=sum(shot.count for shot in self.shots), unseen=unseen)


def at_rate(frames: Iterable[Tensor], rate: float, wanted: float, count: int, *, start: float = 0.0) -> Iterator[Tensor]:
    """``count`` of the frames, which come at ``rate``, as seen at ``wanted`` per second from number ``start`` on; the last stays."""
    source, place, frame = iter(frames), -1, None
    for k in range(count):
        while place < int(k * rate / wanted + start + 1e-6):
            frame, place = next(source, frame), place + 1
        if frame is not None:
            yield frame
