"""Artificial damage that a judge must reject: ghosts and blur; it knows nothing of how clips are judged."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def ghosted(frames: np.ndarray, delay: int = 3, share: float = 0.45) -> np.ndarray:
    """Every frame mixed with the one ``delay`` frames before at ``share``: movers become two half-transparent copies.

    ``frames`` uint8 [t, h, w, 3]; the first ``delay`` frames are mixed with those after them.
    """
    t = np.arange(len(frames))
    other = np.where(t < delay, t + delay, t - delay).clip(0, len(frames) - 1)
    return _mix(frames, frames[other], share)


def doubled(frames: np.ndarray, shift: int = 8, share: float = 0.45) -> np.ndarray:
    """Every frame mixed with itself ``shift`` pixels to the side: a ghost of things that stand still."""
    return _mix(frames, np.roll(frames, shift, axis=2), share)


def blurred(frames: np.ndarray, sigma: float = 2.5) -> np.ndarray:
    """Every frame through a Gaussian of ``sigma`` pixels."""
    return np.stack([ndimage.gaussian_filter(frame, (sigma, sigma, 0), mode="nearest") for frame in frames])  # t h w 3


def _mix(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return np.rint((1 - share) * one.astype(np.float32) + share * other).astype(np.uint8)
