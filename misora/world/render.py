"""Draws a shot: an analytic ray-caster with anti-aliasing where the picture has edges; it knows nothing of physics or of captions.

The picture is cut into tiles; bounds on the screen tell which bodies can change which tile. With a still camera only tiles that something
moving touches are drawn again, which is exact, since everything that a body does to the picture stays inside its bounds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from misora.world.compiled import compiled
from misora.world.render_bounds import TILE, Flags, bound, inside, touch
from misora.world.render_light import Indices, Table, ray, ripple
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
    draw_frames(bodies, cameras, look, waves, reuse, frames, ids, *_room(len(shot.bodies), height, width))
    return frames, ids


def _room(k: int, h: int, w: int) -> tuple[Table, Flags, Picture, Picture, Indices]:
    """What is kept from frame to frame, since compiled functions allocate nothing: bounds, dirty tiles, swing of the floor, one ray a pixel."""
    tiles = (h + TILE - 1) // TILE, (w + TILE - 1) // TILE
    pictures = np.empty((h, w), np.float32), np.empty((h, w, 3), np.float32)
    return np.empty((2, 2, k, 4)), np.ones(tiles, np.bool_), *pictures, np.empty((2, k), np.int64)


@compiled
def draw_frames(
    bodies: Table, cameras: Table, look: Table, waves: Table, reuse: bool, frames: Bytes, ids: Bytes,
    bounds: Table, dirty: Flags, swing: Picture, middle: Picture, chosen: Indices,
) -> None:  # fmt: skip
    """Fill frames and ids from the tables of ``render_tables``."""
    h, w = swing.shape
    for f in range(ids.shape[0]):
        boxes, before = bounds[f % 2], bounds[1 - f % 2]
        still = f > 0 and same(cameras[f], cameras[f - 1])
        if not still:
            weave(cameras[f], waves, swing)
        if f > 0:
            repeat(frames, ids, f)
            mark(dirty, not reuse or not still)
        for i in range(bodies.shape[1]):
            bound(bodies[f, i], cameras[f], look, h, w, boxes[0, i], boxes[1, i])
            if f > 0 and not same(bodies[f, i], bodies[f - 1, i]):
                touch(dirty, boxes[1, i])
                touch(dirty, before[1, i])
        draw_tiles(dirty, bodies[f], cameras[f], look, boxes, swing, middle, chosen, frames[f], ids[f])


@compiled
def weave(camera: Table, waves: Table, swing: Picture) -> None:
    """The floor's pattern as this camera sees it."""
    h, w = swing.shape
    for y in range(h):
        for x in range(w):
            swing[y, x] = 0.0
        for n in range(waves.shape[0]):
            for x in range(w):
                swing[y, x] += ripple((2 * x + 1 - w) / w, (h - 2 * y - 1) / h, camera, waves[n])


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
    dirty: Flags, bodies: Table, camera: Table, look: Table, boxes: Table, swing: Picture, middle: Picture, chosen: Indices, frame: Bytes,
    ids: Bytes,
) -> None:  # fmt: skip
    """Draw the dirty tiles: first one ray a pixel everywhere, then more where neighbours differ."""
    h, w = ids.shape
    seen, near = chosen[0], chosen[1]
    for refine in (False, True):
        for row in range(dirty.shape[0]):
            for column in range(dirty.shape[1]):
                if dirty[row, column]:
                    top, left = row * TILE, column * TILE
                    few, many = inside(boxes[0], left, top, seen), inside(boxes[1], left, top, near)
                    for y in range(top, min(top + TILE, h)):
                        for x in range(left, min(left + TILE, w)):
                            if refine:
                                finish_pixel(x, y, camera, bodies, seen, few, near, many, look, swing, middle, frame, ids)
                            else:
                                start_pixel(x, y, camera, bodies, seen, few, near, many, look, swing, middle, ids)


@compiled
def start_pixel(
    x: int, y: int, camera: Table, bodies: Table, seen: Indices, few: int, near: Indices, many: int, look: Table,
    swing: Picture, middle: Picture, ids: Bytes,
) -> None:  # fmt: skip
    """One ray through the middle of the pixel."""
    h, w = ids.shape
    ids[y, x], middle[y, x, 0], middle[y, x, 1], middle[y, x, 2] = ray(
        (2 * x + 1 - w) / w, (h - 2 * y - 1) / h, swing[y, x], camera, bodies, seen, few, near, many, look
    )


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
    red, green, blue = middle[j, i, 0] - middle[y, x, 0], middle[j, i, 1] - middle[y, x, 1], middle[j, i, 2] - middle[y, x, 2]
    return ids[j, i] != ids[y, x] or max(abs(red), abs(green), abs(blue)) > CONTRAST


@compiled
def finish_pixel(
    x: int, y: int, camera: Table, bodies: Table, seen: Indices, few: int, near: Indices, many: int, look: Table,
    swing: Picture, middle: Picture, frame: Bytes, ids: Bytes,
) -> None:  # fmt: skip
    """The pixel's final colour: its one ray, or at an edge the mean of a grid of rays."""
    h, w = ids.shape
    red, green, blue = float(middle[y, x, 0]), float(middle[y, x, 1]), float(middle[y, x, 2])
    if is_edge(x, y, middle, ids):
        red = green = blue = 0.0
        for n in range(GRID * GRID):
            u, v = x + (n % GRID + 0.5) / GRID, y + (n // GRID + 0.5) / GRID
            _, r, g, b = ray(2.0 * u / w - 1.0, 1.0 - 2.0 * v / h, swing[y, x], camera, bodies, seen, few, near, many, look)
            red, green, blue = red + r / (GRID * GRID), green + g / (GRID * GRID), blue + b / (GRID * GRID)
    frame[y, x, 0], frame[y, x, 1], frame[y, x, 2] = int(red + 0.5), int(green + 0.5), int(blue + 0.5)
