"""Where drawn frames meet given ones: what the autoencoder loses of the given ones fades within half a second; no networks here."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

FADE = 0.5  # seconds
SAME = 12.0  # levels: where a frame differs by less from the given one as the network sees it, it shows the same; by twice as much, not
STILL = 5.0  # levels: where it differs by less, nothing has moved there either


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lost:
    """What is lost of a ``given`` frame where the network has ``seen`` it, both [h, w, 3] uint8."""

    given: Tensor
    seen: Tensor

    def back(self, frame: Tensor, share: float) -> Tensor:
        """What to add to a drawn frame [h, w, 3] near it: ``share`` of what is lost, but nothing where something else is seen by now.

        Where nothing moves either, ``share`` of the way to the given frame: ground is drawn a little differently in every group. Before
        that the light changes to the given frame's.
        """
        light = relit(frame.float(), self.seen.float())  # h w 3
        way = self.seen - frame.float() - light  # h w 3
        gap = way.abs().amax(2, keepdim=True)  # h w 1
        return share * (light + (2 - gap / SAME).clamp(0, 1) * (self.given - self.seen.float()) + (2 - gap / STILL).clamp(0, 1) * way)


def relit(frame: Tensor, other: Tensor) -> Tensor:
    """What to add to a frame [h, w, 3] so that it is lit as another one, which shows the same in another light; else nearly nothing.

    Each channel's best line from the one to the other, found a second time without what lies far from it (things that moved), as far
    as lines explain more than half of the other, and change the mean by more than ``STILL``.
    """
    trust = torch.ones_like(frame[:, :, :1])  # h w 1
    for _ in range(2):
        x, y = (trust * (picture - _mean(picture, trust)) for picture in (frame, other))  # h w 3
        slope = _mean(x * y, trust) / (_mean(x * x, trust) + 1)  # 3
        line = slope * (frame - _mean(frame, trust)) + _mean(other, trust)  # h w 3
        explained = 1 - (y - slope * x).square().sum() / (y.square().sum() + 1)
        away = (other - line).abs().amax(2, keepdim=True)  # h w 1
        trust = (away <= 3 * away.median()).float()
    light = line - frame
    return (2 * explained - 1).clamp(0, 1) * (light.abs().mean() / STILL - 1).clamp(0, 1) * light


def _mean(picture: Tensor, trust: Tensor) -> Tensor:
    """The mean colour [3] of the pixels that are trusted."""
    return (picture * trust).sum((0, 1)) / trust.sum()


def faded(
    frames: Iterable[Tensor], count: int, rate: float, *, left: Lost | None = None, coming: Lost | None = None, start: int = 0
) -> Iterator[Tensor]:
    """Of ``count`` drawn frames [h, w, 3] those from number ``start`` on; what was lost of the given frames around them is added.

    ``left`` was lost of the one before them, ``coming`` of the one after them: the less the further a frame is from it, and nothing half
    a second away.
    """
    length = round(FADE * rate)
    for k, frame in enumerate(frames, start):
        out, back = 1 - (k + 1) / (length + 1), 1 - (count - k) / (length + 1)
        shares = [lost.back(frame, share) for lost, share in ((left, out), (coming, back)) if lost is not None and share > 1e-6]
        yield (frame + sum(shares)).round().clamp(0, 255).to(torch.uint8) if shares else frame


def recut(frames: Iterator[Tensor], own: Tensor, span: tuple[int, int], rate: float, *, ring: bool) -> Iterator[Tensor]:
    """The clip ``own`` [t, h, w, 3] with the drawn frames from number ``span[0]`` up to and without ``span[1]``.

    ``frames`` are all of the clip as they come out of the networks: beside the span they tell what is lost. ``ring``: the clip's
    beginning follows its end.
    """
    first, last = span
    left, opening = None, None
    for k, frame in enumerate(itertools.islice(frames, first)):
        left = Lost(given=own[k], seen=frame)
        opening = left if opening is None else opening
        yield own[k]
    count = last - first
    early = max(0, count - round(FADE * rate))  # frames that need not wait for what comes
    yield from faded(itertools.islice(frames, early), count, rate, left=left)
    late = list(itertools.islice(frames, count - early))
    after = next(frames, None) if last < len(own) else None
    coming = Lost(given=own[last], seen=after) if after is not None else opening if ring else None
    yield from faded(late, count, rate, left=left, coming=coming, start=early)
    yield from own[last:]


def blend(own: Tensor, drawn: Tensor, mask: Tensor) -> Tensor:
    """``drawn`` [h, w, 3] where the mask [h, w] is 1, ``own`` where it is 0: there to the bit."""
    share = mask[:, :, None]  # h w 1
    mixed = own + (drawn.float() - own) * share  # h w 3
    return torch.where(share > 0, mixed.round().clamp(0, 255).to(torch.uint8), own)
