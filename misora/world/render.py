"""Draws a shot: an analytic ray-caster with anti-aliasing where the picture has edges; it knows nothing of physics or of captions.

The picture is cut into tiles; bounds on the screen tell which bodies can change which tile. With a still camera only tiles that something
moving touches are drawn again, which is exact, since everything that a body does to the picture stays inside its bounds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from misora.world.compiled import compiled
from misora.world.render_bounds import TILE, Flags, bound, inside, touch
from misora.world.render_light import Indices, Table, bare, lit, ray, ripple
from misora.world.render_tables import FLAT, SUN, body_table, camera_table, look_tables
from misora.world.shot import Shot

Bytes = npt.NDArray[np.uint8]
Picture = npt.NDArray[np.float32]

GRID = 3  # an edge pixel is the mean of GRID x GRID rays
CONTRAST = 12.0  # display values between neighbours that make an edge


def draw(shot: Shot, *, height: int, width: int, reuse: bool = True) -> tuple[Bytes, Bytes]:
    """Frames [t, height, width, 3] and ids [t, height, width] of what stands in the middle of each pixel: 0 background, i + 1 body i.

    Any size: the picture is the same, sharper. ``reuse`` False draws every frame afresh, with the same result. Raises ``ValueError`` for
    sizes below one pixel and for more than 254 bodies, ``KeyError`` for words that ``words.graph`` does not list.
    """
    if height < 1 or width < 1:
        raise ValueError(f"cannot draw {height} x {width} pixels")
    if len(shot.bodies) > 254:
        raise ValueError(f"cannot tell {len(shot.bodies)} bodies apart in eight bits; draw at most 254")
    bodies, cameras = body_table(shot), camera_table(shot, height=height, width=width)
    look, waves = look_tables(shot)
    look[FLAT] = lit(look[SUN + 2], look)
    frames = np.empty((len(cameras), height, width, 3), np.uint8)
    ids = np.empty((len(cameras), height, width), np.uint8)
    draw_frames(bodies, cameras, look, waves, reuse, frames, ids, *_room(len(shot.bodies), height, width))
    return frames, ids


def _room(k: int, h: int, w: int) -> tuple[Table, Flags, Picture, Picture, Picture, Indices]:
    """What is kept from frame to frame, since compiled functions allocate nothing.

    Bounds, dirty tiles, swing of the floor, the stage without bodies, one ray a pixel, and which bodies matter to a tile.
    """
    tiles = (h + TILE - 1) // TILE, (w + TILE - 1) // TILE
    swing, stage, middle = np.empty((h, w), np.float32), np.empty((3, h, w), np.float32), np.empty((3, h, w), np.float32)
    return np.empty((2, 2, k, 4)), np.ones(tiles, np.bool_), swing, stage, middle, np.empty((2, k), np.int64)


@compiled
def draw_frames(
    bodies: Table, cameras: Table, look: Table, waves: Table, reuse: bool, frames: Bytes, ids: Bytes,
    bounds: Table, dirty: Flags, swing: Picture, stage: Picture, middle: Picture, chosen: Indices,
) -> None:  # fmt: skip
    """Fill frames and ids from the tables of ``render_tables``."""
    h, w = swing.shape
    for f in range(ids.shape[0]):
        boxes, before = bounds[f % 2], bounds[1 - f % 2]
        still = f > 0 and same(cameras[f], cameras[f - 1])
        if not still:
            set_stage(cameras[f], look, waves, swing, stage)
        if f > 0:
            repeat(frames, ids, f)
            mark(dirty, not reuse or not still)
        for i in range(bodies.shape[1]):
            bound(bodies[f, i], cameras[f], look, h, w, boxes[0, i], boxes[1, i])
            if f > 0 and not same(bodies[f, i], bodies[f - 1, i]):
                touch(dirty, boxes[1, i])
                touch(dirty, before[1, i])
        draw_tiles(dirty, bodies[f], cameras[f], look, boxes, swing, stage, middle, chosen, frames[f], ids[f])


@compiled
def set_stage(camera: Table, look: Table, waves: Table, swing: Picture, stage: Picture) -> None:
    """The floor's pattern, and the whole stage without bodies, as this camera sees them."""
    h, w = swing.shape
    for y in range(h):
        v = (h - 2 * y - 1) / h
        for x in range(w):
            swing[y, x] = 0.0
        for n in range(waves.shape[0]):
            for x in range(w):
                swing[y, x] += ripple((2 * x + 1 - w) / w, v, camera, waves[n])
        for x in range(w):
            stage[0, y, x], stage[1, y, x], stage[2, y, x] = bare((2 * x + 1 - w) / w, v, swing[y, x], camera, look)


@compiled
def mark(dirty: Flags, value: bool) -> None:
    """Set every tile's flag."""
    for row in range(dirty.shape[0]):
        for column in range(dirty.shape[1]):
            dirty[row, column] = value


@compiled
def repeat(frames: Bytes, ids: Bytes, f: int) -> None:
    """Frame f as the one before it."""
    for y in range(ids.shape[1]):
        for x in range(ids.shape[2]):
            ids[f, y, x] = ids[f - 1, y, x]
            for c in range(3):
                frames[f, y, x, c] = frames[f - 1, y, x, c]


@compiled
def same(a: Table, b: Table) -> bool:
    """Whether two rows are equal."""
    for i in range(a.shape[0]):  # noqa: SIM110
        if a[i] != b[i]:
            return False
    return True


@compiled
def draw_tiles(
    dirty: Flags, bodies: Table, camera: Table, look: Table, boxes: Table, swing: Picture, stage: Picture, middle: Picture, chosen: Indices,
    frame: Bytes, ids: Bytes,
) -> None:  # fmt: skip
    """Draw the dirty tiles: first one ray a pixel everywhere, then GRID x GRID where neighbours differ."""
    h, w = ids.shape
    seen, near = chosen[0], chosen[1]
    for grid in (1, GRID):
        for row in range(dirty.shape[0]):
            for column in range(dirty.shape[1]):
                if dirty[row, column]:
                    top, left = row * TILE, column * TILE
                    few, many = inside(boxes[0], left, top, seen), inside(boxes[1], left, top, near)
                    for y in range(top, min(top + TILE, h)):
                        for x in range(left, min(left + TILE, w)):
                            if many == 0:
                                empty_pixel(x, y, stage, middle, frame, ids)
                            elif grid == 1 or is_edge(x, y, middle, ids):
                                draw_pixel(x, y, grid, camera, bodies, seen, few, near, many, look, swing[y, x], middle, frame, ids)


@compiled
def empty_pixel(x: int, y: int, stage: Picture, middle: Picture, frame: Bytes, ids: Bytes) -> None:
    """A pixel that no body can change."""
    ids[y, x] = 0
    for c in range(3):
        middle[c, y, x] = stage[c, y, x]
        frame[y, x, c] = int(stage[c, y, x] + 0.5)


@compiled
def draw_pixel(
    x: int, y: int, grid: int, camera: Table, bodies: Table, seen: Indices, few: int, near: Indices, many: int, look: Table, swing: float,
    middle: Picture, frame: Bytes, ids: Bytes,
) -> None:  # fmt: skip
    """The mean of a grid of rays; one ray alone also tells what the pixel shows."""
    h, w = ids.shape
    share = 1.0 / (grid * grid)
    what, red, green, blue = 0, 0.0, 0.0, 0.0
    for n in range(grid * grid):
        u, v = x + (n % grid + 0.5) / grid, y + (n // grid + 0.5) / grid
        what, r, g, b = ray(2.0 * u / w - 1.0, 1.0 - 2.0 * v / h, swing, camera, bodies, seen, few, near, many, look)
        red, green, blue = red + r * share, green + g * share, blue + b * share
    if grid == 1:
        ids[y, x] = what
        middle[0, y, x], middle[1, y, x], middle[2, y, x] = red, green, blue
    frame[y, x, 0], frame[y, x, 1], frame[y, x, 2] = int(red + 0.5), int(green + 0.5), int(blue + 0.5)


@compiled
def is_edge(x: int, y: int, middle: Picture, ids: Bytes) -> bool:
    """Whether a pixel differs from one of its four neighbours in what it shows or, by CONTRAST, in colour."""
    h, w = ids.shape
    return (
        (x > 0 and differ(x, y, x - 1, y, middle, ids))
        or (x < w - 1 and differ(x, y, x + 1, y, middle, ids))
        or (y > 0 and differ(x, y, x, y - 1, middle, ids))
        or (y < h - 1 and differ(x, y, x, y + 1, middle, ids))
    )


@compiled
def differ(x: int, y: int, i: int, j: int, middle: Picture, ids: Bytes) -> bool:
    """Whether two pixels show different things or colours."""
    red, green, blue = middle[0, j, i] - middle[0, y, x], middle[1, j, i] - middle[1, y, x], middle[2, j, i] - middle[2, y, x]
    return ids[j, i] != ids[y, x] or max(abs(red), abs(green), abs(blue)) > CONTRAST
