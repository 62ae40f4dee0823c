"""Noise levels for training, drawn so that one network learns every verb; it knows nothing of the data or of the network.

Diffusion forcing (arXiv:2407.01392): a clip's frames may each have their own level.
"""

from __future__ import annotations

import torch
from torch import Tensor

from misora.canvas import fills

ONE_LEVEL, INDEPENDENT, STAIRCASE = 0.35, 0.25, 0.25  # shares of the clips; what is left, .15, are the verbs' fills
SPREAD = 1.0  # standard deviation of a level's logit


def draw(batch: int, frames: int, generator: torch.Generator, *, mean: float = 1.2, shift: float = 1.0) -> Tensor:
    """Noise levels [b, t] for a batch of clips, each with its own pattern; no clip is all given.

    ``mean`` is that of the levels' logit: high, since layout is decided in the noise (measured: LOG.md). ``shift`` > 1 moves
    levels further towards noise, as ``flow.schedule`` does with steps.
    """
    uniform = torch.rand(batch, 1, generator=generator)  # b 1
    one = _level(uniform, mean, shift).expand(-1, frames)  # b t
    each = _level(torch.rand(batch, frames, generator=generator), mean, shift)  # b t
    rising = _level(draw_staircase(batch, frames, generator), mean, shift)  # b t
    verb = one * draw_ends(batch, frames, generator)  # b t
    ends = torch.tensor([ONE_LEVEL, INDEPENDENT, STAIRCASE]).cumsum(0)  # 3
    pattern = torch.bucketize(torch.rand(batch, generator=generator), ends, right=True)  # b
    return torch.stack((one, each, rising, verb))[pattern, torch.arange(batch)]  # b t


def draw_ends(batch: int, frames: int, generator: torch.Generator) -> Tensor:
    """Fills [b, t] that give frames at the start (1/2), at the end (1/4) or at both ends (1/4) and leave one or more to invent.

    Half of the starts and ends are a single frame: an image to animate, a last image to reach.
    """
    draws = torch.rand(5, batch, generator=generator)  # 5 b
    longest = (frames - 1) // (1 + (draws[0] >= 0.75).long())  # b
    first, last = (_span(draws[1 + 2 * side], draws[2 + 2 * side], longest) for side in (0, 1))  # b and b
    at_start, at_end = (draws[0] < 0.5) | (draws[0] >= 0.75), draws[0] >= 0.5  # b and b
    return fills.keep_ends(frames, first * at_start, last * at_end)


def draw_staircase(batch: int, frames: int, generator: torch.Generator) -> Tensor:
    """Rising levels [b, t] in 0..1 before they are shaped: one frame of each clip is uniform, the others follow its stairs."""
    level, place, slope = torch.rand(3, batch, generator=generator)  # b
    rise = 0.5 + 2.5 * slope  # b
    anchor = (place * frames).floor() / max(frames - 1, 1)  # b
    return fills.staircase(frames, level.clamp_min(1e-3) - rise * anchor, rise)


def _span(single: Tensor, share: Tensor, longest: Tensor) -> Tensor:
    """One frame or, half of the time, up to ``longest``; none where there is no room."""
    length = torch.where(single < 0.5, torch.ones_like(longest), 1 + (share * longest).long())  # b
    return torch.minimum(length, longest)


def _level(uniform: Tensor, mean: float, shift: float) -> Tensor:
    """Logit-normal levels (arXiv:2403.03206) at these quantiles; 0 and 1 stay what they are."""
    level = torch.sigmoid(mean + SPREAD * torch.special.ndtri(uniform))
    return shift * level / (1 + (shift - 1) * level)
