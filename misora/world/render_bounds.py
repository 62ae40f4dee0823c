"""Where on the screen a body can show and how far it can change the picture: boxes in pixels and the tiles they touch; no light here."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from misora.world.compiled import compiled
from misora.world.render_light import NEARNESS, Indices, Table
from misora.world.render_tables import EYE, FORWARD, KIND, PLACE, REACH, RIGHT, ROUND, SUN, UP

Flags = npt.NDArray[np.bool_]

TILE = 8
WIDE = 1e9
MARGIN = 1.5  # pixels: a change can turn a neighbour into an edge


@compiled
def axis_bounds(across: float, depth: float, radius: float, reach: float, pixels: int) -> tuple[float, float]:
    """First and last pixel of a ball on one screen axis, exact for a ball in front of the eye. ``reach``: half the picture at depth one."""
    if depth <= radius:
        return -WIDE, WIDE
    root = radius * math.sqrt(across * across + depth * depth - radius * radius)
    scale = 0.5 * pixels / (reach * (depth * depth - radius * radius))
    return 0.5 * pixels + (across * depth - root) * scale, 0.5 * pixels + (across * depth + root) * scale


@compiled
def widen(box: Table, x: float, y: float, z: float, radius: float, camera: Table, height: int, width: int) -> None:
    """Widen a box (left, top, right, bottom) so that it holds the picture of a ball."""
    x, y, z = x - camera[EYE], y - camera[EYE + 1], z - camera[EYE + 2]
    depth = x * camera[FORWARD] + y * camera[FORWARD + 1] + z * camera[FORWARD + 2]
    wide = math.sqrt(camera[RIGHT] ** 2 + camera[RIGHT + 1] ** 2 + camera[RIGHT + 2] ** 2)
    tall = math.sqrt(camera[UP] ** 2 + camera[UP + 1] ** 2 + camera[UP + 2] ** 2)
    across = (x * camera[RIGHT] + y * camera[RIGHT + 1] + z * camera[RIGHT + 2]) / wide
    down = -(x * camera[UP] + y * camera[UP + 1] + z * camera[UP + 2]) / tall
    left, right = axis_bounds(across, depth, radius, wide, width)
    top, bottom = axis_bounds(down, depth, radius, tall, height)
    box[0], box[1], box[2], box[3] = min(box[0], left), min(box[1], top), max(box[2], right), max(box[3], bottom)


@compiled
def bound(body: Table, camera: Table, look: Table, height: int, width: int, seen: Table, shade: Table) -> None:
    """``seen``: where the body can show. ``shade``: where it can change the picture, by its shadow or by nearness."""
    for box in (seen, shade):
        box[0], box[1], box[2], box[3] = WIDE, WIDE, -WIDE, -WIDE
    if body[KIND] < 0.0:
        return
    x, y, z = body[PLACE], body[PLACE + 1], body[PLACE + 2]
    widen(seen, x, y, z, body[REACH], camera, height, width)
    widen(shade, x, y, z, max(body[REACH], NEARNESS * body[ROUND]), camera, height, width)
    steep = 1.0 / look[SUN + 2]
    way = z * steep
    widen(shade, x - way * look[SUN], y - way * look[SUN + 1], z - way * look[SUN + 2], body[REACH] * steep, camera, height, width)


@compiled
def touch(dirty: Flags, box: Table) -> None:
    """Mark the tiles that a box touches."""
    rows, columns = dirty.shape
    top, bottom = max(0.0, (box[1] - MARGIN) / TILE), min(rows - 1.0, (box[3] + MARGIN) / TILE)
    left, right = max(0.0, (box[0] - MARGIN) / TILE), min(columns - 1.0, (box[2] + MARGIN) / TILE)
    for row in range(int(top), int(bottom) + 1 if bottom >= top else 0):
        for column in range(int(left), int(right) + 1 if right >= left else 0):
            dirty[row, column] = True


@compiled
def inside(boxes: Table, left: int, top: int, chosen: Indices) -> int:
    """How many boxes meet the tile whose corner is (left, top); their numbers come first in ``chosen``."""
    count = 0
    for i in range(boxes.shape[0]):
        if boxes[i, 0] <= left + TILE and boxes[i, 2] >= left and boxes[i, 1] <= top + TILE and boxes[i, 3] >= top:
            chosen[count] = i
            count += 1
    return count
