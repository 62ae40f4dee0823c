"""The names of a region: its colour, its shape and whether it is sound, by rules fitted to renders; it knows nothing of prompts or time."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np

from misora.evals.features import Crop, colour, edge_width, see_through, silhouette, tallness

NUMBERS = Path(__file__).with_name("naming.json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What a sound object stays within; fitted so that renders pass and damage fails (runs/fit_parser.py)."""

    colour: float = 4.0  # distance from the nearest colour, in its own spreads
    shape: float = 2.8  # distance from the nearest shape, root mean square in the spreads of the features
    round: float = 0.15  # log of a ball's height over its width: renders keep within .07, decoded ones mostly within .13
    edge: float = 3.3  # pixels from stage to object
    see_through: float = 0.45  # share of the outline's inner band that shows the stage


LIMITS = Limits()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Numbers:
    """The fitted table: a centre and spread for each colour, a centre for each shape and one whitening for all of them (LDA)."""

    colours: tuple[str, ...]
    tones: np.ndarray  # colours 4
    spreads: np.ndarray  # colours 4
    shapes: tuple[str, ...]
    centres: np.ndarray  # shapes features
    whitening: np.ndarray  # features features


@functools.cache
def numbers() -> Numbers:
    """The committed table."""
    raw = json.loads(NUMBERS.read_text())
    arrays = {key: np.array(raw[key]) for key in ("tones", "spreads", "centres", "whitening")}
    return Numbers(colours=tuple(raw["colours"]), shapes=tuple(raw["shapes"]), **arrays)


def name_colour(crop: Crop) -> tuple[str, float, np.ndarray]:
    """The nearest colour, how far it is in its own spreads, and its tone as a direction in RGB [3]."""
    table = numbers()
    far = np.abs((colour(crop) - table.tones) / table.spreads)  # colours 4
    distance = np.sqrt(np.square(far).mean(1))
    best = int(distance.argmin())
    red, blue = table.tones[best, :2]
    return table.colours[best], float(distance[best]), np.exp([red, 0.0, blue])


def nearest_tones(pixels: np.ndarray) -> np.ndarray:
    """For each of ``pixels`` [n, 3] the number of the colour that it is nearest to; tint counts more than light."""
    table = numbers()
    logs = np.log(pixels + 4)
    tint = logs[:, [0, 2]] - logs[:, 1:2]  # n 2
    far = np.abs((tint[:, None] - table.tones[None, :, :2]) / (0.1 + table.spreads[None, :, :2])).max(-1)  # n colours
    light = np.abs(logs.max(-1)[:, None] - table.tones[None, :, 2])  # n colours
    return np.asarray((far + 0.5 * light).argmin(1))


def name_shape(crop: Crop) -> tuple[str, float]:
    """The nearest shape and how far it is, root mean square in the spreads of the features."""
    table = numbers()
    away = (silhouette(crop) - table.centres) @ table.whitening  # shapes features
    distance = np.sqrt(np.square(away).mean(1))
    best = int(distance.argmin())
    return table.shapes[best], float(distance[best])


def name(crop: Crop, seen: tuple[str, float], limits: Limits = LIMITS) -> tuple[str, str, str | None]:
    """Colour, shape (``unknown`` beyond the limit) and the fault for which the region is rejected, None when it is sound.

    ``seen``: what ``name_shape`` says of it.
    """
    tone_name, tone_distance, tone = name_colour(crop)
    shape, shape_distance = seen
    faults = {
        "no colour": tone_distance > limits.colour,
        "no shape": shape_distance > limits.shape,
        "not round": shape == "ball" and abs(tallness(crop)) > limits.round,
        "blurred": edge_width(crop) > limits.edge,
        "ghosted": see_through(crop, tone) > limits.see_through,
    }
    return tone_name, "unknown" if faults["no shape"] else shape, next((fault for fault, found in faults.items() if found), None)
