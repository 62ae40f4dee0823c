"""The empty stage of a clip whose camera stands still: what each pixel would show with nothing in front; it knows nothing of objects."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

PASSES = 6
SOFT = 0.07  # deviation, in natural log units, at which a pixel's say has fallen by half
STRIDE = 3  # every third column is enough for the fit
SAMPLES = 11  # frames that the median over time is taken of
TEXTURE = (0.08, 0.3)  # a floor's texture deviates by three times its usual amount at most, within these bounds; the haze by the upper one
GROUND = 0.7  # of the way from the sky's colour to the floor's: below, no haze
TRUST = np.array([1.0, 1.0, 0.7, 0.7])  # in a row's border, its median and its quartiles as the stage's colour
LIFT = 4.0  # grey levels added before the logarithm, so that black stays calm
LOGS = np.log(np.arange(256, dtype=np.float32) + np.float32(LIFT))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """``logs`` [h, w, 3] float32: natural logs of grey levels plus LIFT. ``spread``: of the floor's tint, red and blue against green."""

    logs: np.ndarray
    spread: tuple[float, float]


def empty_stage(frames: np.ndarray) -> Stage:
    """The stage of ``frames`` uint8 [t, h, w, 3].

    Every row has one colour that changes slowly from left to right, and rows change slowly downwards: that surface is fitted to the
    median over time so that whatever deviates has no say (iteratively reweighted least squares, Welsch weights); texture is put back
    wherever nothing stands.
    """
    picked = np.linspace(0, len(frames) - 1, min(SAMPLES, len(frames))).round().astype(int)
    logs = LOGS[np.median(frames[picked], axis=0).astype(np.uint8)]  # h w 3
    surface = _row_surface(logs)
    texture = logs - surface  # h w 3
    amount = np.sqrt(np.square(texture).sum(-1))  # h w
    ground = np.roll(ground_rows(surface), len(surface) // 8)  # h, clear of the horizon, which curves
    ground[: len(surface) // 8] = False
    most = np.where(ground, np.clip(3 * np.quantile(amount[ground], 0.6), *TEXTURE) if ground.any() else TEXTURE[1], TEXTURE[1])  # h
    solid = _hulls(ndimage.binary_opening(amount > most[:, None]))  # h w
    empty = texture[~solid]  # n 3
    texture[solid] = 0
    tint = np.abs(empty[:, [0, 2]] - empty[:, 1:2])  # n 2
    red, blue = np.quantile(tint, 0.95, axis=0) if len(tint) else (0.0, 0.0)
    return Stage(logs=surface + texture, spread=(float(red), float(blue)))


def ground_rows(logs: np.ndarray) -> np.ndarray:
    """The rows [h] of a stage [h, w, 3] below the haze of the horizon: only there do shadows fall."""
    rows = np.median(logs, axis=1)  # h 3
    sky, floor = rows[:3].mean(0), rows[-len(rows) // 4 :].mean(0)
    nearness = (rows - sky) @ (floor - sky) / max(1e-6, np.square(floor - sky).sum())  # h
    return np.asarray(np.maximum.accumulate(nearness > GROUND))


def _hulls(solid: np.ndarray) -> np.ndarray:
    """The convex hulls of the connected parts of a mask [h, w], with two pixels around them."""
    labels, _ = ndimage.label(solid)
    full = np.zeros_like(solid)
    for number, (down, across) in enumerate(ndimage.find_objects(labels), start=1):
        points = np.argwhere(labels[down, across] == number)  # n 2
        spots = np.indices((down.stop - down.start, across.stop - across.start)).reshape(2, -1)  # 2 h*w
        hull = ConvexHull(points)
        inside = (hull.equations[:, :2] @ spots + hull.equations[:, 2:] < 0.5).all(0)
        full[down, across] |= inside.reshape(down.stop - down.start, -1)
    return np.asarray(ndimage.binary_dilation(full, iterations=2))


def _row_surface(logs: np.ndarray) -> np.ndarray:
    """Per row a straight line over x: the best supported of fits that begin at the row's border, its median and its quartiles."""
    thin = logs[:, ::STRIDE]  # h w/STRIDE 3
    border = thin.shape[1] // 10 + 1
    starts = [
        np.median(np.concatenate([thin[:, :border], thin[:, -border:]], axis=1), axis=1),
        *np.quantile(thin, (0.5, 0.25, 0.75), axis=1),
    ]
    levels, slopes, supports = zip(*(_row_lines(thin, start) for start in starts), strict=True)
    trust = ndimage.uniform_filter1d(np.stack(supports), 5, axis=1, mode="nearest") * TRUST[:, None]  # starts h
    best = trust.argmax(0), np.arange(len(logs))
    level, slope = np.stack(levels)[best], np.stack(slopes)[best]  # h 3
    x = np.linspace(-1, 1, logs.shape[1], dtype=np.float32)
    return np.asarray(level[:, None] + slope[:, None] * x[None, :, None])


def _row_lines(logs: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Level and slope [h, 3] of every row, and how many pixels support them [h], reweighted from the level ``start``."""
    x = np.linspace(-1, 1, logs.shape[1], dtype=np.float32)
    level = ndimage.median_filter(start, size=(9, 1), mode="nearest")
    slope = np.zeros_like(level)
    for _ in range(PASSES):
        weight = _likeness(logs - level[:, None] - slope[:, None] * x[None, :, None], SOFT) + 1e-3  # h w
        level, slope = _weighted_line(logs, weight, x)
        level, slope = (ndimage.gaussian_filter1d(part, 1.0, axis=0, mode="nearest") for part in (level, slope))
    return level, slope, weight.sum(1)


def _likeness(deviation: np.ndarray, soft: float) -> np.ndarray:
    """Weights [h, w] between 0 and 1 that fall with the deviation [h, w, 3]."""
    return np.asarray(np.exp2(-np.square(deviation).sum(-1) / soft**2))


def _weighted_line(logs: np.ndarray, weight: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level and slope [h, 3] of each row; the slope is held towards zero by a prior of a tenth of the row."""
    w0, w1, w2 = weight.sum(1), weight @ x, weight @ (x * x) + 0.1 * len(x)
    sums = np.einsum("hwc,hw->hc", logs, weight)
    moments = np.einsum("hwc,hw->hc", logs, weight * x)
    det = (w0 * w2 - w1 * w1)[:, None]
    return (w2[:, None] * sums - w1[:, None] * moments) / det, (w0[:, None] * moments - w1[:, None] * sums) / det
