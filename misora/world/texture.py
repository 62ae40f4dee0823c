"""Floors: a mean colour and a sum of plane waves each, smooth and easy to fade out wave by wave; it knows nothing of pixels."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from misora.world.palette import Colour


@dataclasses.dataclass(frozen=True, kw_only=True)
class Floor:
    """``mean``: display colour 0..1. ``swing``: by how much of itself each channel swings. ``waves``: (cycles a metre in x, in y, share).

    ``loose``: how far the pattern of one clip may turn away from the next, in radians (a grid must stay a grid).
    """

    mean: Colour
    swing: Colour = (0.0, 0.0, 0.0)
    waves: tuple[tuple[float, float, float], ...] = ()
    loose: float = 0.0


def _speckle(cycles: float, count: int, share: float) -> tuple[tuple[float, float, float], ...]:
    """Waves fanned over half a turn with slightly different lengths: an even mottle, stretched in y, where the view is foreshortened."""
    angles = (np.arange(count) + 0.5) * np.pi / count
    lengths = cycles * (0.75 + 0.5 * ((np.arange(count) * 0.618) % 1.0))
    return tuple((float(c * np.cos(a)), float(0.5 * c * np.sin(a)), share) for a, c in zip(angles, lengths, strict=True))


FLOORS = {
    "wooden": Floor(
        mean=(0.76, 0.62, 0.46),
        swing=(0.10, 0.12, 0.14),
        waves=((0.0, 1.6, 0.62), (0.0, 3.2, 0.30), (0.0, 0.8, 0.25), (0.35, 0.55, 0.22), (-0.28, 0.9, 0.2), (0.9, 1.6, 0.16)),
    ),
    "grass": Floor(mean=(0.50, 0.60, 0.38), swing=(0.11, 0.08, 0.11), waves=_speckle(2.6, 6, 0.36), loose=0.4),
    "stone": Floor(mean=(0.62, 0.63, 0.66), swing=(0.08, 0.08, 0.075), waves=_speckle(1.1, 6, 0.42), loose=0.4),
    "tiled": Floor(
        mean=(0.70, 0.75, 0.77),
        swing=(0.085, 0.075, 0.07),
        waves=((1.25, 0.0, -0.3), (2.5, 0.0, -0.25), (3.75, 0.0, -0.2), (0.0, 0.9, -0.35), (0.0, 1.8, -0.3)),
    ),
    "snowy": Floor(mean=(0.82, 0.86, 0.91), swing=(0.035, 0.028, 0.02), waves=_speckle(0.7, 5, 0.5), loose=0.4),
    "sandy": Floor(
        mean=(0.83, 0.75, 0.58),
        swing=(0.05, 0.055, 0.075),
        waves=((0.25, 1.5, 0.55), (-0.2, 1.35, 0.45), (0.5, 0.9, 0.2), (-0.6, 0.4, 0.2)),
        loose=0.15,
    ),
    "carpet": Floor(
        mean=(0.60, 0.50, 0.56),
        swing=(0.075, 0.09, 0.08),
        waves=((2.0, 0.0, 0.4), (0.0, 1.1, 0.4), (2.0, 1.1, 0.2), (-2.0, 1.1, 0.2)),
    ),
    "plain": Floor(mean=(0.74, 0.735, 0.72)),
}


def wave_table(floor: Floor, side: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """The floor's waves as rows (cycles a metre in x, in y, phase in cycles, share); ``side`` -1 mirrors the pattern in x."""
    turn = rng.uniform(-floor.loose, floor.loose)
    shift = rng.uniform(0.0, 1.0, size=2)
    rows = np.zeros((len(floor.waves), 4))  # n 4
    for row, (x, y, share) in zip(rows, floor.waves, strict=True):
        a, b = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
        row[:] = side * a, b, 3.0 * (a * shift[0] + b * shift[1]), share
    return rows
