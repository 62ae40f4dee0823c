"""Draws a shot: an analytic ray-caster with anti-aliasing where the picture has edges; it knows nothing of physics or of captions.

The picture is cut into tiles; bounds on the screen tell which bodies can change which tile. With a still camera only tiles that something
moving touches are drawn again, which is exact, since everything that a body does to the picture stays inside its bounds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from misora.world.compiled import compiled
from misora.world.render_bounds import TILE, Flags, bound, inside, touch
from misora.world.render_light import Indices, Table, ray
from misora.world.render_tables import body_table, camera_table, look_tables
from misora.world.shot import Shot

Bytes = npt.NDArray[np.uint8]
Picture = npt.NDArray[np.float32]

GRID = 3  # an edge pixel is the mean of GRID x GRID rays
CONTRAST = 12.0  # display values between neighbours that make an edge


def draw(shot: Shot, *, height: int, width: int, reuse: bool = True) -> tuple[Bytes, Bytes]:
    """Frames [t, height, width, 3] and ids [t, height, width] of what stands in the middle of each pixel: 0 background, i + 1 body i.

    Any size: the picture is the same, sharper. ``reuse`` False draws every frame afresh, with the same result. Raises ``ValueError`` for sizes
    below one pixel and for more than 254 bodies, ``KeyError`` for words that ``words.graph`` does not list.
    """
    if height < 1 or width < 1:
        raise ValueError(f"cannot draw {height} x {width} pixels")
    if len(shot.bodies) > 254:
        raise ValueError(f"cannot tell {len(shot.bodies)} bodies apart in eight bits; draw at most 254")
    bodies, cameras = body_table(shot), camera_table(shot, height=height, width=width)
    look, waves = look_tables(shot)
    frames = np.empty((len(cameras), height, width, 3), np.uint8)
    ids = np.empty((len(cameras), height, width), np.uint8)
    draw_frames(bodies, cameras, look, waves, reuse, frames, ids)
    return frames, ids


@compiled
def draw_frames(bodies: Table, cameras: Table, look: Table, waves: Table, reuse: bool, frames: Bytes, ids: Bytes) -> None:
    """Fill frames and ids from the tables of ``render_tables``."""
    t, h, w = ids.shape
    k = bodies.shape[1]
    middle = np.empty((h, w, 3), np.float32)  # what the ray through the middle of each pixel brings back
    boxes, before = np.empty((2, k, 4)), np.empty((2, k, 4))
    dirty = np.ones(((h + TILE - 1) // TILE, (w + TILE - 1) // TILE), np.bool_)
    for f in range(t):
        for i in range(k):
            bound(bodies[f, i], cameras[f], look, h, w, boxes[0, i], boxes[1, i])
        if f > 0:
            dirty[:] = not reuse or not same(cameras[f], cameras[f - 1])
            frames[f], ids[f] = frames[f - 1], ids[f - 1]
            for i in range(k):
                if not same(bodies[f, i], bodies[f - 1, i]):
                    touch(dirty, boxes[1, i])
                    touch(dirty, before[1, i])
        draw_tiles(dirty, bodies[f], cameras[f], look, waves, boxes, middle, frames[f], ids[f])
        before[:] = boxes


@compiled
def same(a: Table, b: Table) -> bool:
    """Whether two rows are equal."""
    for i in range(a.shape[0]):  # noqa: SIM110
        if a[i] != b[i]:
            return False
    return True


@compiled
def draw_tiles(
    dirty: Flags, bodies: Table, camera: Table, look: Table, waves: Table, boxes: Table, middle: Picture, frame: Bytes, ids: Bytes
) -> None:
    """Draw the dirty tiles: first one ray a pixel everywhere, then more where neighbours differ."""
    h, w = ids.shape
    seen, near = np.empty(boxes.shape[1], np.int64), np.empty(boxes.shape[1], np.int64)
    for refine in (False, True):
        for row in range(dirty.shape[0]):
            for column in range(dirty.shape[1]):
                if dirty[row, column]:
                    top, left = row * TILE, column * TILE
                    few, many = inside(boxes[0], left, top, seen), inside(boxes[1], left, top, near)
                    for y in range(top, min(top + TILE, h)):
                        for x in range(left, min(left + TILE, w)):
                            if refine:
                                finish_pixel(x, y, camera, bodies, seen, few, near, many, look, waves, middle, frame, ids)
                            else:
                                start_pixel(x, y, camera, bodies, seen, few, near, many, look, waves, middle, ids)


@compiled
def start_pixel(
    x: int, y: int, camera: Table, bodies: Table, seen: Indices, few: int, near: Indices, many: int, look: Table, waves: Table,
    middle: Picture, ids: Bytes,
) -> None:  # fmt: skip
    """One ray through the middle of the pixel."""
    h, w = ids.shape
    ids[y, x], middle[y, x, 0], middle[y, x, 1], middle[y, x, 2] = ray(
        (2 * x + 1 - w) / w, (h - 2 * y - 1) / h, camera, bodies, seen, few, near, many, look, waves
    )


@compiled
def is_edge(x: int, y: int, middle: Picture, ids: Bytes) -> bool:
    """Whether a pixel differs from one of its eight neighbours in what it shows or, by CONTRAST, in colour."""
    h, w = ids.shape
    for j in range(max(0, y - 1), min(h, y + 2)):
        for i in range(max(0, x - 1), min(w, x + 2)):
            if ids[j, i] != ids[y, x]:
                return True
            for c in range(3):
                if abs(middle[j, i, c] - middle[y, x, c]) > CONTRAST:
                    return True
    return False


@compiled
def finish_pixel(
    x: int, y: int, camera: Table, bodies: Table, seen: Indices, few: int, near: Indices, many: int, look: Table, waves: Table,
    middle: Picture, frame: Bytes, ids: Bytes,
) -> None:  # fmt: skip
    """The pixel's final colour: its one ray, or at an edge the mean of a grid of rays."""
    h, w = ids.shape
    red, green, blue = middle[y, x, 0], middle[y, x, 1], middle[y, x, 2]
    if is_edge(x, y, middle, ids):
        red = green = blue = np.float32(0.0)
        for n in range(GRID * GRID):
            u, v = x + (n % GRID + 0.5) / GRID, y + (n // GRID + 0.5) / GRID
            _, r, g, b = ray(2.0 * u / w - 1.0, 1.0 - 2.0 * v / h, camera, bodies, seen, few, near, many, look, waves)
            red, green, blue = red + r / (GRID * GRID), green + g / (GRID * GRID), blue + b / (GRID * GRID)
    frame[y, x, 0], frame[y, x, 1], frame[y, x, 2] = int(red + 0.5), int(green + 0.5), int(blue + 0.5)
