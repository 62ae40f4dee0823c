"""A clip in, tracked and named objects out, by colours and outlines alone: no network; it knows nothing of prompts."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.spatial import ConvexHull

from misora.evals.features import REACH, Crop
from misora.evals.masks import opened
from misora.evals.naming import LIMITS, name, name_colour, name_shape, nearest_tones
from misora.evals.segment import LEAST, Regions, segment
from misora.evals.tracks import Parse, Sight, link

MARGIN = REACH + 1  # pixels around a region that its crop shows
SOLID = 0.89  # of its convex hull that a single thing fills, pixel stairs included
SECOND = 0.08  # of a region, at least, in another colour: two things that overlap


def parse(frames: np.ndarray) -> Parse:
    """Objects of ``frames`` uint8 [t, h, w, 3], a clip of native size whose camera stands still, followed through time."""
    regions = segment(frames)
    sights: list[list[Sight]] = [[] for _ in frames]
    for number in range(len(regions.frame)):
        for sight in _sights(frames, regions, number):
            sights[sight.frame].append(sight)
    return link(sights, frames.shape[1:3])


def _sights(frames: np.ndarray, regions: Regions, number: int) -> list[Sight]:
    """The objects of one region: one, or several where colours show that it is made of overlapping things."""
    crop, corner = crop_of(frames, regions, number)
    frame = int(regions.frame[number])
    shape = name_shape(crop)
    parts = _parts(crop) if shape[1] > LIMITS.shape or _dented(crop) else [crop]
    if len(parts) == 1:
        return [_sight(crop, shape, corner, frame, frames.shape[1:3], alone=True)]
    return [_sight(part, name_shape(part), corner, frame, frames.shape[1:3], alone=False) for part in parts]


def crop_of(frames: np.ndarray, regions: Regions, number: int) -> tuple[Crop, tuple[int, int]]:
    """Region ``number`` (from 0) with its margin, and the crop's top left corner as (y, x)."""
    frame = regions.frame[number]
    down, across = regions.slices[number]
    window = (
        frame,
        slice(max(0, down.start - MARGIN), down.stop + MARGIN),
        slice(max(0, across.start - MARGIN), across.stop + MARGIN),
    )
    labels = regions.labels[window]  # h w
    pixels = frames[window]  # h w 3
    mask = labels == number + 1
    crop = Crop(mask=mask, others=(labels > 0) & ~mask, pixels=pixels.astype(np.float32), stage=regions.stage[window[1:]])
    return crop, (window[1].start, window[2].start)


def _dented(crop: Crop) -> bool:
    """Whether the outline is dented: every thing of the slice is convex, so two must overlap."""
    ys = np.flatnonzero(crop.mask.any(1))
    left, right = crop.mask[ys].argmax(1), crop.mask.shape[1] - crop.mask[ys, ::-1].argmax(1)
    corners = np.concatenate([np.stack([xs, ys + dy], axis=1) for xs in (left, right) for dy in (0, 1)])
    return bool(crop.mask.sum() < SOLID * ConvexHull(corners).volume)


def _parts(crop: Crop) -> list[Crop]:
    """One crop for each colour that fills a good part of the region, or the crop itself where there is but one."""
    tones = np.full(crop.mask.shape, -1)
    tones[crop.mask] = nearest_tones(crop.pixels[crop.mask])
    least = max(LEAST, SECOND * crop.mask.sum())
    masks = [opened(tones == tone) for tone in np.flatnonzero(np.bincount(tones[crop.mask]) > least)]
    masks = [mask for mask in masks if mask.sum() > least]
    named: dict[str, np.ndarray] = {}
    for mask in masks:  # shade can look like two colours, yet be named as one
        tone_name = name_colour(dataclasses.replace(crop, mask=mask))[0]
        named[tone_name] = mask | named.get(tone_name, False)
    if "grey" in named and len(named.keys() & {"black", "white"}) == 1:  # the gloss of black, the shade of white
        named[(named.keys() & {"black", "white"}).pop()] |= named.pop("grey")
    if len(named) < 2:
        return [crop]
    return [dataclasses.replace(crop, mask=mask, others=crop.others | (crop.mask & ~mask)) for mask in named.values()]


def _sight(crop: Crop, seen: tuple[str, float], corner: tuple[int, int], frame: int, size: tuple[int, int], *, alone: bool) -> Sight:
    """What one crop shows. A thing cut off by the border or by another thing is named by its colour only."""
    ys, xs = np.nonzero(crop.mask)
    top, left = int(ys.min()) + corner[0], int(xs.min()) + corner[1]
    bottom, right = int(ys.max()) + corner[0] + 1, int(xs.max()) + corner[1] + 1
    whole = alone and top > 0 and left > 0 and bottom < size[0] and right < size[1]
    tone, shape, fault = name(crop, seen)
    return Sight(
        frame=frame,
        centre=(float(xs.mean()) + corner[1], float(ys.mean()) + corner[0]),
        box=(left, top, right, bottom),
        area=len(ys),
        colour=tone,
        shape=shape,
        clear=whole,
        fault=fault if whole else None,
    )
