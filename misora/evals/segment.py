"""Pixels of a clip sorted into stage and objects: shadows belong to the stage; it knows nothing of shapes or of time."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from misora.evals.background import LIFT, LOGS, Stage, empty_stage, ground_rows
from misora.evals.masks import opened

# A shadow darkens the day's floor by up to SHADE (natural log units) and tints it on the way, by (red - green, blue - green) at most:
SHADE, TINT, FULL = 1.1, (-0.045, 0.07), 0.5
TOLERANCE = (0.045, 0.055)  # of that tint, for rounding and decoding; the floor's own spread is added
BRIGHT = 0.13  # brighter than the floor by this: an object
SKY = 0.08  # brighter or darker than the sky, which has neither texture nor shadows, by this: an object
FAINT = 0.05  # what deviates less than this is stage, whatever its tint
LEAST = 40  # pixels of an object at least
IN_FRAME = ndimage.generate_binary_structure(2, 1)[None] & np.array([False, True, False])[:, None, None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regions:
    """Connected regions of object pixels. ``labels`` [t, h, w] int32, 0 stage; region i + 1 lies in ``frame[i]``, box ``slices[i]``."""

    labels: np.ndarray
    frame: np.ndarray  # n
    slices: list[tuple[slice, slice]]
    stage: np.ndarray  # h w 3 float32, grey levels of the empty stage


def segment(frames: np.ndarray) -> Regions:
    """The regions of ``frames`` uint8 [t, h, w, 3] that are neither floor, sky nor shadow."""
    stage = empty_stage(frames)
    labels, count = ndimage.label(opened(_objects(frames, stage)), IN_FRAME)
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
        stage=np.exp(stage.logs) - np.float32(LIFT),
    )


def _objects(frames: np.ndarray, stage: Stage) -> np.ndarray:
    """Where a pixel is neither as bright as the stage nor like its shadow: [t, h, w] bool."""
    differs = _differs(frames, stage)  # t h w, far fewer than all
    t, y, x = np.nonzero(differs)
    contrast = LOGS[frames[t, y, x]] - stage.logs[y, x]  # n 3
    red, light, blue = contrast.T  # n each
    depth = np.clip(light / -FULL, 0, 1)
    off_red = (red - light - TINT[0] * depth) / (TOLERANCE[0] + stage.spread[0])
    off_blue = (blue - light - TINT[1] * depth) / (TOLERANCE[1] + stage.spread[1])
    tinted = off_red * off_red + off_blue * off_blue > 1
    ground = ground_rows(stage.logs)[y]  # n
    differs[t, y, x] = tinted | (light > np.where(ground, BRIGHT, SKY)) | (light < np.where(ground, -SHADE, -SKY))
    return differs


def _differs(frames: np.ndarray, stage: Stage) -> np.ndarray:
    """Where any channel of a pixel is further than FAINT from the stage's: [t, h, w] bool. In grey levels, since that is quickest."""
    low = np.ceil(np.exp(stage.logs - FAINT) - LIFT).clip(0, 255).astype(np.uint8)  # h w 3
    high = np.floor(np.exp(stage.logs + FAINT) - LIFT).clip(0, 255).astype(np.uint8)
    off = (frames < low) | (frames > high)  # t h w 3
    return np.asarray(off[..., 0] | off[..., 1] | off[..., 2])


def _filled(labels: np.ndarray, boxes: list[tuple[slice, slice, slice]]) -> np.ndarray:
    """The same labels with the holes inside every region closed: highlights and faces that happen to look like floor."""
    for number, box in enumerate(boxes, start=1):
        part = labels[box][0]
        labels[box][0][ndimage.binary_fill_holes(part == number) & (part == 0)] = number
    return labels
