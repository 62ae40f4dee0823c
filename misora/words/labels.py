"""The content of a text as a fixed row of class indices, which the text encoder learns to read; it knows nothing of words or networks."""

from __future__ import annotations

from misora.words.graph import CAMERAS, COLOURS, DIRECTIONS, FLOORS, LIGHTS, SHAPES, SIZES, STYLES, VERBS
from misora.words.told import LATERAL, TARGETED, Told, scenery_numbers, thing_numbers

THINGS = 5
WALL = THINGS + 1
PLACES = (LATERAL, "in_front_of", "on_top_of")
THING_CLASSES = (
    len(COLOURS) + 1,
    len(SHAPES) + 1,
    len(SIZES) + 1,
    len(VERBS) + 1,
    len(DIRECTIONS) + 1,
    THINGS + 2,  # target: none, a thing, a wall
    *(THINGS + 1 for _ in PLACES),  # which thing it is left of, in front of, on top of
)
SCENERY_CLASSES = (len(FLOORS) + 1, len(LIGHTS) + 1, len(STYLES) + 1, len(CAMERAS) + 1, THINGS + 1, 2)
CLASSES: tuple[int, ...] = THING_CLASSES * THINGS + SCENERY_CLASSES


def labels(told: Told) -> list[int]:
    """One class index per entry of CLASSES; 0 is "not told". At most five things are looked at.

    Five things of nine labels each (colour, shape, size, verb, direction, target, left of, in front of, on top of), then floor, light,
    style, camera, count, and whether the whole order from left to right is told.
    """
    row = [index for i in range(THINGS) for index in (_thing(told, i) if i < len(told.things) else [0] * len(THING_CLASSES))]
    return row + scenery_numbers(told) + [min(len(told.things), THINGS), int(told.in_line())]


def _thing(told: Told, i: int) -> list[int]:
    act = told.acts[i]
    aim = 0
    if act is not None and act.verb in TARGETED:
        aim = WALL if act.target is None else act.target + 1
    places = [min((r.b + 1 for r in told.relations if r.kind == kind and r.a == i), default=0) for kind in PLACES]
    return [*thing_numbers(told.things[i], act), aim, *places]
