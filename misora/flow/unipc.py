"""UniPC (arXiv:2302.04867), second order: each step mends the last one with what it has just learned; it knows no network and no clip.

The form is that of Wan's own sampler: clean latents are extrapolated over the logarithm of signal to noise, B(h) = expm1(h), and the
step that arrives at clean is of first order.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 1e-6  # of signal at level 1: its logarithm must be a number


def unipc(x: Tensor, velocity: Tensor, level: Tensor, after: Tensor, memory: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """From ``level`` to ``after`` (broadcastable over x [b, c, t, h, w]); a token's first step is of first order.

    Memory: where the last step began, the clean latents seen there and before it, and the levels of both; level 0 is nothing yet.
    """
    start, seen, older, last, first = memory  # b c t h w three times, b 1 t h w twice
    level = level.expand_as(last)  # b 1 t h w
    clean = x - torch.where(level == 1, 1 - LEAST, level) * velocity  # b c t h w
    mended = torch.where(last > 0, _corrected(start, clean, seen, older, level, last, first), x)  # b c t h w
    moved = _predicted(mended, clean, seen, level, after, last)  # b c t h w
    return torch.where(after == level, x, moved), (mended, clean, seen, level, last)


def _predicted(x: Tensor, clean: Tensor, before: Tensor, level: Tensor, after: Tensor, last: Tensor) -> Tensor:
    """From ``level`` on, by the clean latents seen there and, where there is a ``last`` level, the ones before."""
    step = _signal(after) - _signal(level)
    turn = torch.expm1(-step)
    slope = (before - clean) / _ratio(last, level, step)  # b c t h w
    bend = torch.where((last > 0) & (after > 0), 0.5 * turn * slope, 0)  # b c t h w
    moved = _noise(after) / _noise(level) * x - (1 - after) * (turn * clean + bend)  # b c t h w
    return torch.where(after == 0, clean, moved)


def _corrected(start: Tensor, clean: Tensor, seen: Tensor, older: Tensor, level: Tensor, last: Tensor, first: Tensor) -> Tensor:
    """The last step, from ``last`` to ``level``, made anew with the clean latents that were then found at its end."""
    step = _signal(level) - _signal(last)
    turn = torch.expm1(-step)
    ratio = _ratio(first, last, step)
    one = -turn / step - 1  # the weights' equations: their first and second right side, times ``turn``
    two = 2 * (-one / step - 0.5)
    bent = first > 0
    back = torch.where(bent, (one - two) / (1 - ratio), 0)
    end = torch.where(bent, one - back, 0.5 * turn)
    change = back * torch.where(bent, (older - seen) / ratio, 0) + end * (clean - seen)  # b c t h w
    return _noise(level) / _noise(last) * start - (1 - level).clamp_min(LEAST) * (turn * seen + change)


def _signal(level: Tensor) -> Tensor:
    """The logarithm of signal to noise; levels 0 and 1 are moved to where it is finite."""
    level = _noise(level)
    return torch.log(1 - level) - torch.log(level)


def _noise(level: Tensor) -> Tensor:
    return level.clamp(LEAST, 1 - LEAST)


def _ratio(before: Tensor, level: Tensor, step: Tensor) -> Tensor:
    """How long the step before was against this one; -1 where either was none."""
    ratio = (_signal(before) - _signal(level)) / torch.where(step == 0, 1, step)
    return torch.where((ratio == 0) | (step == 0), -1, ratio)
