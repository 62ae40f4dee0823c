"""Pixels of a clip sorted into stage and objects: shadows belong to the stage; it knows nothing of shapes or of time."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from misora.evals.background import LOGS, Stage, empty_stage, ground_rows

# A shadow darkens the day's floor by up to SHADE (natural log units) and tints it on the way, by (red - green, blue - green) at most:
SHADE, TINT, FULL = 1.1, (-0.045, 0.07), 0.5
TOLERANCE = (0.045, 0.055)  # of that tint, for rounding and decoding; the floor's own spread is added
BRIGHT = 0.13  # brighter than the floor by this: an object
FAINT = 0.05  # what deviates less than this is stage, whatever its tint
LEAST = 40  # pixels of an object at least
IN_FRAME = ndimage.generate_binary_structure(2, 1)[None] & np.array([False, True, False])[:, None, None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regions:
    """Connected regions of object pixels. ``labels`` [t, h, w] int32, 0 stage; region i + 1 lies in ``frame[i]``, box ``slices[i]``."""

    labels: np.ndarray
    frame: np.ndarray  # n
    slices: list[tuple[slice, slice]]
    area: np.ndarray  # n
    contrast: np.ndarray  # t h w 3, log of pixel over stage


def segment(frames: np.ndarray) -> Regions:
    """The regions of ``frames`` uint8 [t, h, w, 3] that are neither floor, sky nor shadow."""
    stage = empty_stage(frames)
    contrast = LOGS[frames] - stage.logs  # t h w 3
    solid = ndimage.binary_opening(_is_object(contrast, stage), IN_FRAME)
    labels, count = ndimage.label(solid, IN_FRAME)
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    keep = area >= LEAST
    order = np.zeros(count + 1, np.int32)
    order[1:][keep] = np.arange(1, keep.sum() + 1)
    labels = order[labels]  # t h w
    boxes = ndimage.find_objects(labels)
    labels = _filled(labels, boxes)
    return Regions(
        labels=labels,
        frame=np.array([box[0].start for box in boxes], dtype=np.int64),
        slices=[(box[1], box[2]) for box in boxes],
        area=np.bincount(labels.ravel(), minlength=len(boxes) + 1)[1:],
        contrast=contrast,
    )


def _is_object(contrast: np.ndarray, stage: Stage) -> np.ndarray:
    """Where a pixel is neither as bright as the stage nor like its shadow: [t, h, w] bool."""
    red, light, blue = (contrast[..., channel] for channel in range(3))  # t h w each
    depth = np.clip(light / -FULL, 0, 1)
    off_red = (red - light - TINT[0] * depth) / (TOLERANCE[0] + stage.spread[0])
    off_blue = (blue - light - TINT[1] * depth) / (TOLERANCE[1] + stage.spread[1])
    tinted = off_red * off_red + off_blue * off_blue > 1
    dark = light < np.where(ground_rows(stage.logs), -SHADE, -BRIGHT)[:, None]
    return np.asarray((tinted & (np.abs(contrast).max(-1) > FAINT)) | (light > BRIGHT) | dark)


def _filled(labels: np.ndarray, boxes: list[tuple[slice, slice, slice]]) -> np.ndarray:
    """The same labels with the holes inside every region closed: highlights and faces that happen to look like floor."""
    for number, box in enumerate(boxes, start=1):
        part = labels[box][0]
        labels[box][0][ndimage.binary_fill_holes(part == number) & (part == 0)] = number
    return labels
