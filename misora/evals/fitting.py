"""Fits the parser's numbers to regions whose truth is known; it knows nothing of where the regions come from."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from misora.evals.features import Crop, colour, silhouette
from misora.words.graph import COLOURS, Thing

SHRINK = 0.05  # of the covariance that is taken as equal for all features
LEAST_SPREAD = (0.12, 0.12, 0.12, 0.15)  # of a colour's tint and light: decoders are not as exact as renders


def fit(crops: Sequence[Crop], things: Sequence[Thing]) -> str:
    """The JSON text of ``naming.json`` from whole, sharp regions and the things they show."""
    tones, spreads = _fit_colours(crops, [thing.colour for thing in things])
    shapes = sorted({thing.shape for thing in things})
    features = np.array([silhouette(crop) for crop in crops])  # n features
    kinds = np.array([shapes.index(thing.shape) for thing in things])
    centres = np.array([features[kinds == kind].mean(0) for kind in range(len(shapes))])
    covariance = np.cov((features - centres[kinds]).T)
    size = len(covariance)
    covariance = (1 - SHRINK) * covariance + SHRINK * np.trace(covariance) / size * np.eye(size)
    whitening = np.linalg.cholesky(np.linalg.inv(covariance))  # (x - c) @ whitening has unit covariance
    table = {
        "colours": list(COLOURS),
        "tones": _rounded(tones),
        "spreads": _rounded(spreads),
        "shapes": shapes,
        "centres": _rounded(centres),
        "whitening": _rounded(whitening),
    }
    return json.dumps(table, separators=(",", ":")) + "\n"


def _fit_colours(crops: Sequence[Crop], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    looks = np.array([colour(crop) for crop in crops])  # n 4
    chosen = [looks[np.array(names) == name] for name in COLOURS]
    return np.array([own.mean(0) for own in chosen]), np.array([np.maximum(own.std(0), LEAST_SPREAD) for own in chosen])


def _rounded(values: np.ndarray) -> list[object]:
    return [[float(f"{value:.4g}") for value in row] for row in values]
