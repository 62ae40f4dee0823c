"""Fits the parser's table ``naming.json`` to renders whose truth is known; run it as ``python runs/fit_parser.py``, a few minutes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from misora.data.clip import Clip
from misora.evals.features import Crop
from misora.evals.fitting import fit
from misora.evals.naming import NUMBERS
from misora.evals.parse import crop_of
from misora.evals.segment import segment
from misora.evals.slices import SLICE_V1
from misora.words.graph import Thing
from misora.world.make import Unstageable, render_graph
from misora.world.scenes import CORE, even, sample_graph

SEED, CLIPS, STEP = 78, 400, 8  # every STEP-th frame of CLIPS scenes of the training side of the split
MIX = dataclasses.replace(CORE, verbs=even(SLICE_V1.verbs), shapes=even(SLICE_V1.shapes), lights=even(SLICE_V1.lights))
WHOLE = 0.97  # of a thing's pixels that its region must hold, and nothing of another


def scenes() -> Iterator[Clip]:
    """Clips of the slice."""
    rng = np.random.default_rng(SEED)
    count = 0
    while count < CLIPS:
        graph = sample_graph(rng, MIX)
        if graph not in SLICE_V1:
            continue
        try:
            yield render_graph(graph, count)
        except Unstageable:
            continue
        count += 1


def whole_things(clip: Clip) -> Iterator[tuple[Crop, Thing]]:
    """The regions that show one thing, all of it and nothing else, and the thing."""
    assert clip.truth is not None
    frames, masks = clip.frames[::STEP], clip.truth.masks[::STEP]
    regions = segment(frames)
    for number, frame in enumerate(regions.frame):
        shown = np.bincount(masks[frame][regions.labels[frame] == number + 1], minlength=2)[1:]
        body = int(shown.argmax())
        area = (masks[frame] == body + 1).sum()
        down, across = regions.slices[number]
        inside = down.start > 1 and across.start > 1 and down.stop < masks.shape[1] - 1 and across.stop < masks.shape[2] - 1
        if inside and shown[body] >= WHOLE * max(1, area) and shown.sum() == shown[body]:
            yield crop_of(frames, regions, number)[0], clip.truth.graph.things[body]


if __name__ == "__main__":
    found = [pair for clip in scenes() for pair in whole_things(clip)]
    NUMBERS.write_text(fit([crop for crop, _ in found], [thing for _, thing in found]))
    print(f"{len(found)} regions of {CLIPS} clips")
