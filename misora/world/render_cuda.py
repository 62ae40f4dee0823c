"""Draws a shot on a CUDA card: two thin kernels over the same scalar functions as ``render``, all pixels of all frames at once.

It knows nothing of tiles and of reuse. Pictures equal those of ``render.draw`` to within rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from misora.world.render import GRID, draw_pixel, is_edge
from misora.world.render_light import lit, ripple
from misora.world.render_tables import FLAT, SUN, body_table, camera_table, look_tables
from misora.world.shot import Shot

BLOCK = 16, 8


@cuda.jit  # type: ignore[untyped-decorator,unused-ignore]
def _first_rays(
    bodies: Any, cameras: Any, look: Any, waves: Any, order: Any, counts: Any, swing: Any, middle: Any, frames: Any, ids: Any
) -> None:
    """One thread a pixel: the floor's swing and one ray."""
    x, y, f = cuda.grid(3)
    _, h, w = ids.shape
    if x < w and y < h:
        total = 0.0
        for n in range(waves.shape[0]):
            total += ripple((2 * x + 1 - w) / w, (h - 2 * y - 1) / h, cameras[f], waves[n])
        swing[f, y, x] = total
        k = counts[f]
        draw_pixel(x, y, 1, cameras[f], bodies[f], order[f], k, order[f], k, look, total, middle[f], frames[f], ids[f])


@cuda.jit  # type: ignore[untyped-decorator,unused-ignore]
def _edges(bodies: Any, cameras: Any, look: Any, order: Any, counts: Any, swing: Any, middle: Any, frames: Any, ids: Any) -> None:
    """One thread a pixel: a grid of rays where neighbours differ."""
    x, y, f = cuda.grid(3)
    _, h, w = ids.shape
    if x < w and y < h and is_edge(x, y, middle[f], ids[f]):
        k = counts[f]
        draw_pixel(x, y, GRID, cameras[f], bodies[f], order[f], k, order[f], k, look, swing[f, y, x], middle[f], frames[f], ids[f])


def is_available() -> bool:
    """Whether numba finds a card and its driver."""
    return bool(cuda.is_available())


def draw(shot: Shot, *, height: int, width: int) -> tuple[Any, Any]:
    """Frames [t, height, width, 3] and ids [t, height, width], uint8, as arrays on the card that ``torch.as_tensor`` takes without a copy.

    Raises what ``render.draw`` raises for unknown words, and numba's ``CudaSupportError`` where there is no card.
    """
    t = len(shot.camera)
    look, waves = look_tables(shot)
    look[FLAT] = lit(look[SUN + 2], look)
    order = np.argsort(~shot.present, axis=1, kind="stable")  # t k: those present first
    tables = [cuda.to_device(table) for table in (body_table(shot), camera_table(shot, height=height, width=width), look)]
    present = [cuda.to_device(order), cuda.to_device(shot.present.sum(1))]
    swing, middle = cuda.device_array((t, height, width), np.float32), cuda.device_array((t, 3, height, width), np.float32)
    frames, ids = cuda.device_array((t, height, width, 3), np.uint8), cuda.device_array((t, height, width), np.uint8)
    grid = -(-width // BLOCK[0]), -(-height // BLOCK[1]), t
    pictures = swing, middle, frames, ids
    _first_rays[grid, (*BLOCK, 1)](*tables, cuda.to_device(waves), *present, *pictures)
    _edges[grid, (*BLOCK, 1)](*tables, *present, *pictures)
    return frames, ids
