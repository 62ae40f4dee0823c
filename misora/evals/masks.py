"""Masks made thinner and thicker by shifting them, many at a time; it knows nothing of what they mask."""

from __future__ import annotations

import numpy as np


def eroded(mask: np.ndarray, times: int = 1) -> np.ndarray:
    """``mask`` bool [..., h, w] without its outermost pixels, ``times`` over; what lies outside of the picture counts as empty."""
    for _ in range(times):
        thin = mask.copy()
        thin[..., 1:, :] &= mask[..., :-1, :]
        thin[..., :-1, :] &= mask[..., 1:, :]
        thin[..., 1:] &= mask[..., :-1]
        thin[..., :-1] &= mask[..., 1:]
        thin[..., [0, -1], :] = False
        thin[..., [0, -1]] = False
        mask = thin
    return mask


def dilated(mask: np.ndarray) -> np.ndarray:
    """``mask`` bool [..., h, w] with its four neighbours' pixels."""
    thick = mask.copy()
    thick[..., 1:, :] |= mask[..., :-1, :]
    thick[..., :-1, :] |= mask[..., 1:, :]
    thick[..., 1:] |= mask[..., :-1]
    thick[..., :-1] |= mask[..., 1:]
    return thick


def opened(mask: np.ndarray) -> np.ndarray:
    """``mask`` bool [..., h, w] without what is thinner than three pixels."""
    return dilated(eroded(mask))
