"""Where drawn frames meet given ones: what the autoencoder loses of the given ones fades within half a second; no networks here."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

FADE = 0.5  # seconds


def faded(
    frames: Iterable[Tensor], count: int, rate: float, *, left: Tensor | None = None, coming: Tensor | None = None, start: int = 0
) -> Iterator[Tensor]:
    """Of ``count`` drawn frames [h, w, 3] those from number ``start`` on; what was lost of the given frames around them is added.

    ``left`` [h, w, 3] was lost of the one before them, ``coming`` of the one after them: the less the further a frame is from it, and
    nothing half a second away.
    """
    length = round(FADE * rate)
    for k, frame in enumerate(frames, start):
        out, back = 1 - (k + 1) / (length + 1), 1 - (count - k) / (length + 1)
        shares = [(lost, share) for lost, share in ((left, out), (coming, back)) if lost is not None and share > 1e-6]
        yield (frame + sum(share * lost for lost, share in shares)).round().clamp(0, 255).to(torch.uint8) if shares else frame


def recut(frames: Iterator[Tensor], own: Tensor, span: tuple[int, int], rate: float, *, ring: bool) -> Iterator[Tensor]:
    """The clip ``own`` [t, h, w, 3] with the drawn frames from number ``span[0]`` up to and without ``span[1]``.

    ``frames`` are all of the clip as they come out of the networks: beside the span they tell what is lost. ``ring``: the clip's
    beginning follows its end.
    """
    first, last = span
    left, opening = None, None  # h w 3 each
    for k, frame in enumerate(itertools.islice(frames, first)):
        left = own[k] - frame.float()
        opening = left if opening is None else opening
        yield own[k]
    count = last - first
    early = max(0, count - round(FADE * rate))  # frames that need not wait for what comes
    yield from faded(itertools.islice(frames, early), count, rate, left=left)
    late = list(itertools.islice(frames, count - early))
    after = next(frames, None) if last < len(own) else None
    coming = own[last] - after.float() if after is not None else opening if ring else None
    yield from faded(late, count, rate, left=left, coming=coming, start=early)
    yield from own[last:]


def blend(own: Tensor, drawn: Tensor, mask: Tensor) -> Tensor:
    """``drawn`` [h, w, 3] where the mask [h, w] is 1, ``own`` where it is 0: there to the bit."""
    share = mask[:, :, None]  # h w 1
    mixed = own + (drawn.float() - own) * share  # h w 3
    return torch.where(share > 0, mixed.round().clamp(0, 255).to(torch.uint8), own)
