"""Numbers that describe one region of pixels: silhouette, shading, colour, edges and see-through; it knows nothing of names or of time."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from misora.evals.masks import eroded

LINES = 9  # rows and columns at which a silhouette is measured
REACH = 5  # pixels on either side of an edge
BAND = 4  # pixels inside the outline in which the stage would show through: highlights lie further in
NEAR = np.arange(-REACH, REACH + 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crop:
    """A region with its surroundings, REACH + 1 pixels where the picture has them. Light is in grey levels."""

    mask: np.ndarray  # h w bool, the region itself
    others: np.ndarray  # h w bool, other regions
    pixels: np.ndarray  # h w 3 float32
    stage: np.ndarray  # h w 3 float32, the empty stage


def silhouette(crop: Crop) -> np.ndarray:
    """Outline and shading, free of size, place and colour: [4 * LINES + 2 + 2 * LINES]."""
    ys, xs = np.flatnonzero(crop.mask.any(1)), np.flatnonzero(crop.mask.any(0))
    mask = crop.mask[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    height, width = mask.shape
    rows = ((np.arange(LINES) + 0.5) / LINES * height).astype(int)
    columns = ((np.arange(LINES) + 0.5) / LINES * width).astype(int)
    across, down = mask[rows], mask[:, columns].T  # LINES w, LINES h
    outline = [
        across.argmax(1) / width,
        across[:, ::-1].argmax(1) / width,
        down.argmax(1) / height,
        down[:, ::-1].argmax(1) / height,
    ]
    light = np.log(crop.pixels[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1].max(-1) + 8)  # h w
    light = ndimage.uniform_filter(light, 3, mode="nearest")
    middle = np.median(light[mask])
    inner = slice(height // 2, height // 2 + max(1, height // 4))
    shading = [light[inner].mean(0)[columns] - middle, light[:, width // 3 : -(width // 3)].mean(1)[rows] - middle]
    return np.concatenate([*outline, [np.log(height / width), mask.mean()], *(0.3 * np.clip(part, -1.5, 1.5) for part in shading)])


def tallness(crop: Crop) -> float:
    """The log of the region's height over its width."""
    ys, xs = np.flatnonzero(crop.mask.any(1)), np.flatnonzero(crop.mask.any(0))
    return float(np.log((ys[-1] + 1 - ys[0]) / (xs[-1] + 1 - xs[0])))


def colour(crop: Crop) -> np.ndarray:
    """Red - green and blue - green in logs, and the log of the brightest channel: medians inside, [3], then its bright quarter, [4]."""
    inside = eroded(crop.mask, 2)
    logs = np.log(crop.pixels[inside if inside.any() else crop.mask] + 4)  # n 3
    top = logs.max(-1)
    return np.array([*np.median(logs[:, [0, 2]] - logs[:, 1:2], axis=0), np.median(top), np.quantile(top, 0.75)])


def edge_width(crop: Crop) -> float:
    """Pixels that the step from stage to object takes, across or down, whichever takes longer. Sharp pictures: one to two.

    Of two opposite sides the sharper one counts, since a shaded side can melt into the stage. 0 where no side can be seen.
    """
    across = _sides(crop.mask, crop.others, crop.pixels)
    down = _sides(crop.mask.T, crop.others.T, crop.pixels.swapaxes(0, 1))
    rises = _rise_widths(np.concatenate([*across, *down]))  # n
    ends = np.cumsum([len(side) for side in (*across, *down)])
    steps = [float(np.median(side)) if len(side) >= 4 else np.inf for side in np.split(rises, ends[:-1])]
    return max(step if step < np.inf else 0.0 for step in (min(steps[:2]), min(steps[2:])))


def _sides(mask: np.ndarray, others: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lines of pixels [n, 2*REACH+1, 3] from outside to inside over the left and the right outline, in the rows of the middle half."""
    ys = np.flatnonzero(mask.any(1))
    ys = ys[len(ys) // 4 : len(ys) - len(ys) // 4, None]  # n 1
    left = mask[ys[:, 0]].argmax(1)[:, None] + NEAR  # n 2*REACH+1, outside to inside
    right = mask.shape[1] - 1 - mask[ys[:, 0], ::-1].argmax(1)[:, None] - NEAR
    return _free_lines(mask, others, pixels, (ys, left)), _free_lines(mask, others, pixels, (ys, right))


def _free_lines(mask: np.ndarray, others: np.ndarray, pixels: np.ndarray, at: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The lines at rows and columns ``at`` that lie in the picture, cross no other region and end inside of this one."""
    ys, xs = at
    seen = (xs.min(1) >= 0) & (xs.max(1) < mask.shape[1])
    ys, xs = ys[seen], xs[seen]
    free = ~others[ys, xs].any(1) & mask[ys, xs[:, -3:]].all(1)
    return np.asarray(pixels[ys[free], xs[free]])


def _rise_widths(lines: np.ndarray) -> np.ndarray:
    """How many pixels of each line [n, 2*REACH+1, 3], read from outside to inside, are between the two levels: [n]."""
    outside, inside = lines[:, :2].mean(1), lines[:, -3:].mean(1)  # n 3
    step = inside - outside
    rise = np.einsum("nkc,nc->nk", lines - outside[:, None], step) / np.maximum(np.square(step).sum(-1), 1)[:, None]  # n k
    return np.asarray(np.clip(np.minimum(rise, 1 - rise) * 4, 0, 1).sum(1))


def see_through(crop: Crop, tone: np.ndarray) -> float:
    """The share of the band inside the outline through which the stage shows, for an object of any shade of the colour ``tone`` [3].

    Light of the stage that no shade of the tone holds gives it away: the part of a pixel at right angles to the tone, over the stage's own.
    """
    band = eroded(crop.mask, 2)
    band &= ~eroded(band, BAND)
    pixels, stage = crop.pixels[band], crop.stage[band]  # n 3 each
    unit = tone / np.linalg.norm(tone)
    aside = stage - (stage @ unit)[:, None] * unit  # n 3
    strength = np.square(aside).sum(-1)
    if not len(pixels) or np.median(strength) < 400:
        return 0.0
    return float(np.mean((pixels * aside).sum(-1) / strength > 0.22))
