"""The straight path between clean latents and noise; it knows nothing of networks or of steps.

Rectified flow (arXiv:2209.03003): at noise level l, x = (1 - l) clean + l noise, so that the velocity dx/dl is noise - clean.
Levels stand per frame [b, t], per latent [b, t, h, w], or in any shape that broadcasts over [b, c, t, h, w].
"""

from __future__ import annotations

import torch
from torch import Tensor


def over_channels(level: Tensor) -> Tensor:
    """Levels [b, t] or [b, t, h, w] in a shape that broadcasts over latents [b, c, t, h, w]."""
    return level[:, None, :, None, None] if level.ndim == 2 else level[:, None]


def mix(clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Latents at ``level``; at level 0 they are ``clean`` to the bit."""
    level = over_channels(level)
    return torch.where(level == 0, clean, (1 - level) * clean + level * noise)


def velocity(prediction: Tensor, x: Tensor, level: Tensor, meaning: str) -> Tensor:
    """The velocity that a prediction of "x" (clean latents) or "velocity" stands for; zero where x is clean already."""
    if meaning == "velocity":
        return prediction
    level = over_channels(level)
    return torch.where(level == 0, 0, (x - prediction) / level.clamp_min(1e-6))


def clean(prediction: Tensor, x: Tensor, level: Tensor, meaning: str) -> Tensor:
    """The clean latents that a prediction of "x" or "velocity" stands for."""
    return prediction if meaning == "x" else x - over_channels(level) * prediction


def noise(velocity: Tensor, x: Tensor, level: Tensor) -> Tensor:
    """The noise that ``x`` would be at level 1 if ``velocity`` were the whole truth."""
    return x + (1 - over_channels(level)) * velocity
