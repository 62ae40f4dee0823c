"""Classifier-free guidance (arXiv:2207.12598): away from what the negative text says; it knows nothing of solvers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from misora.flow import path

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]  # latents, levels, text -> prediction


class Guidance:
    """The prediction under a text, ``scale`` times as far from the one under the negative text as it is.

    For the steps of one clip, and only for tokens whose noise level lies inside ``interval`` (arXiv:2404.07724), whose lower end may be
    each frame's own [t].
    The negative text is asked only every ``every`` steps: in between, the last difference that it made still serves.
    """

    def __init__(self, *, scale: float, interval: tuple[float | Tensor, float] = (0.0, 1.0), every: int = 1) -> None:
        self.scale, self.interval, self.every = scale, interval, every
        self.frames: list[int] = []
        self.gap: Tensor | None = None  # b c t h w
        self.age = 0  # steps since the gap was seen

    def __call__(
        self, predict: Predict, x: Tensor, level: Tensor, text: Tensor, null_text: Tensor, frames: list[int] | None = None
    ) -> Tensor:
        """The guided prediction for ``frames`` of a canvas; where others were seen last, the negative text is asked again."""
        low, high = self.interval
        if isinstance(low, Tensor):
            low = (low if frames is None else low[frames]).reshape(-1, *[1] * (level.ndim - 2))  # t, or t 1 1
        push = path.over_channels(scale_at(level, self.scale, (low, high))) - 1  # b 1 t 1|h 1|w
        if not push.any():
            return predict(x, level, text)
        self.age += 1
        if self.gap is not None and self.frames == frames and self.age < self.every:
            return predict(x, level, text) + push * self.gap
        both = predict(torch.cat((x, x)), torch.cat((level, level)), torch.cat((text, null_text.expand_as(text))))  # 2b c t h w
        wanted, unwanted = both.chunk(2)  # b c t h w
        self.gap, self.frames, self.age = wanted - unwanted, frames or [], 0
        return wanted + push * self.gap


def scale_at(level: Tensor, scale: float, interval: tuple[float | Tensor, float]) -> Tensor:
    """``scale`` for each level that lies inside ``interval``, else 1."""
    inside = (level >= interval[0]) & (level <= interval[1])
    return torch.where(inside, scale, 1.0)
