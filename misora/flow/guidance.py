"""Classifier-free guidance (arXiv:2207.12598): away from what the negative text says; it knows nothing of steps or of solvers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]  # latents, levels, text -> prediction


def guided(predict: Predict, x: Tensor, level: Tensor, text: Tensor, null_text: Tensor, scale: float) -> Tensor:
    """The prediction under ``text`` pushed ``scale`` times away from the one under ``null_text``, both in one batch."""
    if scale == 1:
        return predict(x, level, text)
    both = predict(torch.cat((x, x)), torch.cat((level, level)), torch.cat((text, null_text.expand_as(text))))  # 2b c t h w
    wanted, unwanted = both.chunk(2)  # b c t h w
    return unwanted + scale * (wanted - unwanted)


def scale_at(level: float, scale: float, interval: tuple[float, float]) -> float:
    """``scale`` where the noisiest level lies inside ``interval``, else 1: guidance only helps in between (arXiv:2404.07724)."""
    return scale if interval[0] <= level <= interval[1] else 1.0
