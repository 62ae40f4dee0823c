"""How fast the world draws and simulates: frames a second and core; it knows nothing of networks.

Run from the repository: ``python bench/world.py [seconds a row]``. CPU time is counted, so other processes disturb it less; the first call,
which compiles, is left out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from misora.words.graph import COLOURS
from misora.world.make import make_clip
from misora.world.render import draw
from misora.world.scenes import CORE, FULL, STILL, Mix
from misora.world.shot import Body, Shot

SHAPES = "ball", "cube", "cylinder"


def passing(bodies: int, frames: int) -> Shot:
    """Bodies side by side; with several frames the first crosses the stage."""
    positions = np.zeros((frames, bodies, 3), np.float32)
    positions[:, :, 0], positions[:, :, 2] = np.linspace(-0.8, 0.8, bodies) if bodies > 1 else 0.0, 0.3
    if frames > 1:
        positions[:, 0, 0], positions[:, 0, 1] = np.linspace(-1.4, 1.4, frames), -0.6
    return Shot(
        bodies=tuple(Body(shape=SHAPES[i], half=(0.3, 0.3, 0.3), colour=COLOURS[i]) for i in range(bodies)),
        floor="wooden",
        light="day",
        style="realistic",
        texture_seed=1,
        positions=positions,
        orientations=np.array([1, 0, 0, 0], np.float32) * np.ones((frames, bodies, 1), np.float32),
        present=np.ones((frames, bodies), bool),
        camera=np.array([[0, -5.2, 1.7, 0, 0, 0.55, 21]], np.float32).repeat(frames, 0),
    )


def rate(work: Callable[[int], int], budget: float) -> float:
    """Frames a CPU second of ``work(i)``, which returns how many frames it made; the median of single calls."""
    work(0)
    rates, start, i = [], time.process_time(), 0
    while time.process_time() - start < budget:
        i += 1
        before = time.process_time()
        frames = work(i)
        rates.append(frames / (time.process_time() - before))
    return float(np.median(rates))


def drawn(shot: Shot, height: int, width: int, _: int) -> int:
    """Draw a shot; how many frames it has."""
    return len(draw(shot, height=height, width=width)[0])


def made(mix: Mix, seconds: float, size: tuple[int, int], seed: int) -> int:
    """Make the clip of a seed; how many frames it has."""
    return len(make_clip(seed, mix, seconds=seconds, size=size).frames)


def main() -> None:
    """Print the table."""
    budget = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    for height, width in ((128, 128), (96, 176)):
        size = height, width
        for bodies in (1, 2, 3):
            for frames in (1, 49):
                shot = passing(bodies, frames)
                speed = rate(partial(drawn, shot, height, width), budget)
                print(f"{height} x {width}, {bodies} bodies, {frames:2} frames, drawing alone: {speed:7.0f} frames/s/core", flush=True)
        for name, mix, seconds in (("core", CORE, 4.0), ("full", FULL, 4.0), ("still", STILL, 0.0)):
            speed = rate(partial(made, mix, seconds, size), budget)
            print(f"{height} x {width}, clips of the mix {name!r}, dynamics included: {speed:7.0f} frames/s/core", flush=True)


if __name__ == "__main__":
    main()
